//! On which line of a file a row begins: a reader of CSV names the end of the row before it.

/// Counts lines up to a place that never falls.
#[derive(Clone, Debug, Default)]
pub struct Lines {
    /// Bytes that are counted.
    counted: usize,
    /// Line breaks in them.
    breaks: u64,
}

impl Lines {
    /// The number of the line of this byte, from 1.
    pub fn number_at(&mut self, bytes: &[u8], at: usize) -> u64 {
        let new = bytes.get(self.counted..at).unwrap_or_default();
        let breaks = new.iter().enumerate().filter(|&(place, byte)| match byte {
            b'\n' => true,
            // A carriage return alone ends a line too.
            b'\r' => bytes.get(self.counted + place + 1) != Some(&b'\n'),
            _ => false,
        });
        self.breaks += breaks.count() as u64;
        self.counted = at.max(self.counted);
        self.breaks + 1
    }
}

/// The first byte of the row at this position: the reader takes blank lines before a row for a part of it.
#[must_use]
pub fn beginning(bytes: &[u8], at: &csv::Position) -> usize {
    let begin = usize::try_from(at.byte()).unwrap_or(usize::MAX);
    let rest = bytes.get(begin..).unwrap_or_default();
    let blank = rest.iter().take_while(|byte| matches!(byte, b'\r' | b'\n')).count();
    begin.saturating_add(blank)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_has_the_number_of_the_line_on_which_it_begins() {
        for (list, expected) in [
            ("h\nA\nB\n", [2, 3]),
            ("h\r\nA\r\nB", [2, 3]),
            ("\n\nh\n\n\nA\n\nB\n\n", [6, 8]),
            ("h\r\n\r\nA\r\n\r\n\r\nB\r\n", [3, 6]),
            ("h\n\"A\nA\"\nB\n", [2, 4]),
            ("h\rA\r\rB\r", [2, 4]),
        ] {
            let (mut reader, mut lines) = (csv::Reader::from_reader(list.as_bytes()), Lines::default());
            let rows = reader.records().map(|row| {
                let begin = beginning(list.as_bytes(), row.unwrap().position().unwrap());
                lines.number_at(list.as_bytes(), begin)
            });
            assert_eq!(rows.collect::<Vec<_>>(), expected, "{list:?}");
        }
    }
}
