//! What stands for a character where only ASCII can be shown.

/// Returns one ASCII character for any other, as much like it as there is.
pub(crate) fn ascii_of(symbol: &str) -> &'static str {
    let Some(char) = symbol.chars().next() else { return " " };
    match char {
        '\u{a0}' => " ",
        '─' | '━' | '┄' | '┅' | '┈' | '╌' | '–' | '—' | '−' | '‑' => "-",
        '│' | '┃' | '┆' | '┊' | '╎' | '‖' | '▏' | '▎' | '▕' => "|",
        '\u{2500}'..='\u{257f}' => "+",
        // Parts of a cell from below, by height.
        '▁' => "_",
        '▂' => ".",
        '▃' => ":",
        '▄' => "-",
        '▅' => "=",
        '▆' => "+",
        '▇' => "*",
        '█' | '▉' | '▊' | '▋' | '■' | '▓' => "#",
        '░' => ".",
        '▒' => ":",
        '\u{2580}'..='\u{259f}' => "#",
        '⠀' => " ",
        '\u{2801}'..='\u{28ff}' => dots(char),
        '→' | '▶' | '▸' | '►' | '›' | '»' => ">",
        '←' | '◀' | '◂' | '◄' | '‹' | '«' => "<",
        '↑' | '▲' | '△' | '▴' => "^",
        '↓' | '▼' | '▽' | '▾' => "v",
        '●' | '◆' | '★' | '•' | '✱' => "*",
        '○' | '◌' | '◦' | '◇' => "o",
        '·' | '…' | '∙' => ".",
        '✓' | '✔' => "v",
        '✗' | '✘' | '×' | '✕' => "x",
        'µ' | 'μ' => "u",
        'λ' => "l",
        'ρ' => "p",
        'σ' => "s",
        '±' => "+",
        '≤' | '⟨' => "<",
        '≥' | '⟩' => ">",
        '≈' | '≠' | '∼' => "~",
        '÷' => "/",
        '∞' => "8",
        '‘' | '’' => "'",
        '“' | '”' => "\"",
        _ => "?",
    }
}

/// A pattern of Braille dots is as high as its highest dot.
fn dots(char: char) -> &'static str {
    let dots = u32::from(char) - 0x2800;
    // Rows from above: dots 1 and 4, 2 and 5, 3 and 6, 7 and 8.
    let rows = [0b0000_1001, 0b0001_0010, 0b0010_0100, 0b1100_0000];
    let top = rows.iter().position(|row| dots & row != 0);
    let is_full = rows.iter().all(|row| dots & row == *row);
    match top {
        _ if is_full => "#",
        Some(0) => "'",
        Some(1) => "*",
        Some(2) => "-",
        Some(_) => ".",
        None => " ",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_charts_and_borders_are_made_of_has_a_likeness() {
        let drawn = "─│┌┐└┘├┤┬┴┼▁▂▃▄▅▆▇█░▒▓▀▌▐▶◀▲▼●○◌·…→←↑↓µ–✓×≤≥■⣀⡠⠤⠒⠉⣿";
        for char in drawn.chars() {
            let plain = ascii_of(char.encode_utf8(&mut [0; 4]));
            assert!(plain.len() == 1 && plain.is_ascii() && plain != "?", "{char}: {plain}");
        }
        assert_eq!(ascii_of("日"), "?");
    }

    #[test]
    fn parts_of_a_cell_rise() {
        let steps: String =
            "▁▂▃▄▅▆▇█".chars().map(|char| ascii_of(char.encode_utf8(&mut [0; 4]))).collect();
        assert_eq!(steps, "_.:-=+*#");
        assert_eq!(
            [ascii_of("⠉"), ascii_of("⠒"), ascii_of("⠤"), ascii_of("⣀")],
            ["'", "*", "-", "."]
        );
    }
}
