//! Somebody who types anything and pulls at the window: nothing panics, and the screen stays whole.

use crate::support::terminal::Terminal;
use crate::support::wait_for;

/// Keys and clicks that are sent to one dashboard.
const DEEDS: usize = 1_200;
/// Rows above the key bar that short messages may cover for a while.
const TOAST_ROWS: usize = 9;
/// What draws everything anew begins with it.
const CLEAR: &[u8] = b"\x1b[2J";
/// What ends a frame.
const END: &[u8] = b"\x1b[?2026l";

/// A small generator of numbers that are the same in every run (Marsaglia's xorshift).
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % bound
    }

    fn of<T: Copy>(&mut self, all: &[T]) -> T {
        let len = u64::try_from(all.len()).unwrap();
        all[usize::try_from(self.below(len)).unwrap()]
    }
}

/// Returns what a person does; never what ends the run or needs a yes (`q`, `Q`, `y`, Ctrl-C), nor
/// what stops the process (Ctrl-Z).
fn deed(numbers: &mut Numbers) -> String {
    match numbers.below(20) {
        0 => format!("\x1b[<0;{};{}M", numbers.below(170) + 1, numbers.below(50) + 1),
        1 => format!("\x1b[<65;{};{}M", numbers.below(170) + 1, numbers.below(50) + 1),
        2..7 => numbers
            .of(&["\x1b[A", "\x1b[B", "\x1b[C", "\x1b[D", "\x1b[5~", "\x1b[6~", "\x1b[H", "\x1b[F"])
            .to_owned(),
        7..10 => numbers.of(&["\t", "\x1b[Z", "\x0c", "\x15", "\x04", "\x1f", "\x7f"]).to_owned(),
        10..12 => numbers.of(&["?", ":", "/", "s"]).to_owned(),
        12..15 => numbers.of(&["1", "2", "3", "4", "5", "6", "7", "8"]).to_owned(),
        _ => {
            let chars: Vec<char> =
                (' '..='~').filter(|char| !matches!(char, 'q' | 'Q' | 'y' | 'Y')).collect();
            numbers.of(&chars).to_string()
        }
    }
}

fn rows(text: &str) -> Vec<String> {
    text.lines().map(|row| row.trim_end().to_owned()).collect()
}

fn count(bytes: &[u8], part: &[u8]) -> usize {
    bytes.windows(part.len()).filter(|window| *window == part).count()
}

/// Has everything drawn anew. All that was typed before has been acted on then.
fn repaint(terminal: &mut Terminal) {
    let cleared = count(&terminal.received(), CLEAR);
    terminal.press("\x0c");
    wait_for("a repainted screen", || {
        let received = terminal.received();
        (count(&received, CLEAR) > cleared && received.ends_with(END)).then_some(())
    });
}

/// Closes whatever is open and waits for a display that stands still.
fn freeze(terminal: &mut Terminal) {
    // Two of these bytes are one Esc that is not taken for the beginning of another key; it closes
    // one thing after the other, and follows the run again at last.
    terminal.press(&"\x1b\x1b".repeat(8));
    terminal.press("1");
    repaint(terminal);
    terminal.press("f");
    terminal.wait_for("FROZEN");
}

/// Has everything drawn anew and compares it with what was there.
fn check_whole(terminal: &mut Terminal, seed: u64) {
    let before = rows(&terminal.text());
    repaint(terminal);
    let after = rows(&terminal.text());
    let steady = after.len().saturating_sub(1 + TOAST_ROWS);
    let odd = before.iter().zip(&after).take(steady).position(|(before, after)| before != after);
    assert!(
        odd.is_none(),
        "seed {seed}: row {odd:?} was not as it should be\n{}\n\n{}",
        before.join("\n"),
        after.join("\n")
    );
}

#[test]
fn whatever_is_typed_the_screen_stays_whole() {
    for seed in [3, 1977] {
        let mut numbers = Numbers(seed);
        let calm = ["--set", "users.max_processes=2", "--set", "load.regulars.think=5s"];
        let mut terminal = Terminal::open(120, 40, &calm);
        terminal.wait_for("▶ RUN");
        for at in 1..=DEEDS {
            terminal.press(&deed(&mut numbers));
            if at % 20 == 0 {
                // What was done is shown before more is done.
                terminal.press(&"\x1b\x1b".repeat(8));
                repaint(&mut terminal);
            }
            if at % 60 == 0 {
                let size = numbers.of(&[(160, 45), (80, 24), (50, 15), (20, 5), (3, 1), (97, 31)]);
                terminal.resize(size.0, size.1);
            }
        }
        terminal.resize(120, 40);
        freeze(&mut terminal);
        check_whole(&mut terminal, seed);
        terminal.press("Qy");
        assert_eq!(terminal.exit_code(), 0, "seed {seed}");
        terminal.check_restored();
    }
}
