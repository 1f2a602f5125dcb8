//! Percentile distributions as HdrHistogram's own tools print and read them (`.hgrm`): values in
//! microseconds at five steps per halved distance to 100 %.
//!
//! The format is that of `AbstractHistogram.outputPercentileDistribution` of HdrHistogram for
//! Java, which its plotters read. It has no place for a unit; the manifest says it. Beside the
//! original's steps there is a row for each percentile of the tables.

use std::io::{self, Write};

use engine::perf::Histogram;

/// Steps per halved distance to 100 %.
const TICKS_PER_HALF_DISTANCE: u32 = 5;
/// Nanoseconds in the unit of the values.
const NS_PER_UNIT: f64 = 1e3;
/// The percentiles of the tables on which no step falls.
const BESIDE_STEPS: [f64; 2] = [0.99, 0.999];

/// Writes the distribution of what was counted.
///
/// # Errors
/// What `out` says.
pub(super) fn write(out: &mut dyn Write, histogram: &Histogram) -> io::Result<()> {
    let counts = histogram.to_hdr();
    writeln!(
        out,
        "{:>12} {:>14} {:>10} {:>14}\n",
        "Value", "Percentile", "TotalCount", "1/(1-Percentile)"
    )?;
    let mut total = 0;
    let mut beside = BESIDE_STEPS.into_iter().filter(|_| !counts.is_empty()).peekable();
    for step in counts.iter_quantiles(TICKS_PER_HALF_DISTANCE) {
        while let Some(share) = beside.next_if(|share| *share < step.quantile_iterated_to()) {
            let value = counts.value_at_quantile(share);
            write_row(out, value, share, counts.count_between(0, value))?;
        }
        total += step.count_since_last_iteration();
        write_row(out, step.value_iterated_to(), step.quantile_iterated_to(), total)?;
    }
    let (mean, deviation) = match histogram.count() {
        0 => (0.0, 0.0),
        #[expect(clippy::cast_precision_loss, reason = "three decimals are shown")]
        count => (histogram.sum() as f64 / count as f64, counts.stdev()),
    };
    let sub_buckets = (2 * 10_u64.pow(u32::from(counts.sigfig()))).next_power_of_two();
    let [mean, deviation] = [mean, deviation].map(|ns| ns / NS_PER_UNIT);
    writeln!(out, "#[Mean    = {mean:12.3}, StdDeviation   = {deviation:12.3}]")?;
    let max = in_unit(histogram.max());
    writeln!(out, "#[Max     = {max:12.3}, Total count    = {:12}]", histogram.count())?;
    writeln!(out, "#[Buckets = {:12}, SubBuckets     = {sub_buckets:12}]", counts.buckets())
}

fn write_row(out: &mut dyn Write, value: u64, share: f64, total: u64) -> io::Result<()> {
    let value = in_unit(value);
    if share < 1.0 {
        let halvings = 1.0 / (1.0 - share);
        writeln!(out, "{value:12.3} {share:14.12} {total:10} {halvings:14.2}")
    } else {
        writeln!(out, "{value:12.3} {share:14.12} {total:10}")
    }
}

#[expect(clippy::cast_precision_loss, reason = "three decimals are shown")]
fn in_unit(ns: u64) -> f64 {
    ns as f64 / NS_PER_UNIT
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn text(histogram: &Histogram) -> String {
        let mut text = Vec::new();
        write(&mut text, histogram).unwrap();
        String::from_utf8(text).unwrap()
    }

    /// What plotters read: value and 1/(1-percentile) of lines with four words.
    fn read(text: &str) -> Vec<(f64, f64)> {
        let lines = text.lines().filter(|line| !line.trim_start().starts_with('#'));
        let words = lines.map(|line| line.split_whitespace().collect::<Vec<_>>());
        let rows = words.filter(|words| words.len() == 4);
        rows.filter_map(|words| Some((words[0].parse().ok()?, words[3].parse().ok()?))).collect()
    }

    #[test]
    fn plotters_read_back_the_percentiles_of_the_tables() {
        let mut histogram = Histogram::default();
        for us in 1..=100_000 {
            histogram.record(Duration::from_micros(us * us % 77_777 + us));
        }
        let rows = read(&text(&histogram));
        assert!(rows.is_sorted_by(|a, b| a.0 <= b.0 && a.1 < b.1) && rows.len() > 50);
        let spread = histogram.spread().unwrap();
        let near = |found: f64, wanted: Duration| (found - wanted.as_secs_f64() * 1e6).abs() < 6e-4;
        for (halvings, wanted) in
            [(2.0, spread.p50), (10.0, spread.p90), (100.0, spread.p99), (1000.0, spread.p999)]
        {
            let row = rows.iter().find(|row| row.1 >= halvings - 0.001).unwrap();
            assert!(near(row.0, wanted), "{row:?} is not {wanted:?}");
        }
        let max = text(&histogram).lines().find_map(|line| {
            line.strip_prefix("#[Max     =")?.split(',').next()?.trim().parse::<f64>().ok()
        });
        assert!(near(max.unwrap(), spread.max), "{max:?}");
    }

    #[test]
    fn the_text_is_that_of_the_original() {
        let mut histogram = Histogram::default();
        for ms in [1, 2, 3, 40] {
            histogram.record(Duration::from_millis(ms));
        }
        insta::assert_snapshot!(text(&histogram));
        insta::assert_snapshot!("empty", text(&Histogram::default()));
    }
}
