//! The form of a list of devices: CSV (RFC 4180) with a header, in which a spreadsheet finds no formula.

use std::collections::VecDeque;

use axum::body::Bytes;
use csv::{ByteRecord, ErrorKind, Reader, ReaderBuilder, WriterBuilder};
use device_lists::{Lines, guarded, unguarded};

use super::super::messages::known_time;
use super::super::{Registration, TableRegistration, check_serial};
use crate::domain::Serial;
use crate::domain::registration::ListTimes;
use crate::http::problem::Problem;
use crate::store::{Installed, StoredDevice};

/// The columns, in the order of [`cells`].
const COLUMNS: [&str; 26] = [
    "serial",
    "vendor",
    "class",
    "line",
    "owner",
    "state",
    "version",
    "sequence",
    "manifest_digest",
    "release_kid",
    "stated_at",
    "table_version",
    "table_sequence",
    "table_manifest_digest",
    "table_release_kid",
    "table_stated_at",
    "anchors",
    "anchors_at",
    "identity",
    "credential",
    "key_checks",
    "vouched",
    "last_seen",
    "seen_by",
    "retired_at",
    "retired_reason",
];
/// A row without them says nothing.
const REQUIRED: [&str; 3] = ["serial", "vendor", "class"];
/// A line that begins with it is a comment.
const COMMENT: u8 = b'#';

/// The header.
pub(super) fn header() -> Result<Bytes, Problem> {
    encode([COLUMNS.map(str::to_owned)])
}

/// A row for each device. What is empty is not known.
pub(super) fn rows(devices: Vec<StoredDevice>) -> Result<Bytes, Problem> {
    encode(devices.into_iter().map(|device| cells(device).map(|cell| guarded(&cell).into_owned())))
}

fn encode(rows: impl IntoIterator<Item = [String; COLUMNS.len()]>) -> Result<Bytes, Problem> {
    // It quotes a cell that would make a comment of its line.
    let mut writer = WriterBuilder::new().comment(Some(COMMENT)).from_writer(Vec::new());
    for row in rows {
        writer.write_record(row).map_err(Problem::internal)?;
    }
    writer.into_inner().map(Bytes::from).map_err(|error| Problem::internal(error.to_string()))
}

fn cells(device: StoredDevice) -> [String; COLUMNS.len()] {
    let text = |value: Option<String>| value.unwrap_or_default();
    let time = |at: Option<u64>| text(at.map(|at| at.to_string()));
    let kids = device.anchors.unwrap_or_default();
    let (retired_at, retired_reason) =
        device.retired.map_or((None, None), |retired| (Some(retired.at), retired.reason));
    let installed = |installed: Installed| {
        [
            text(installed.version),
            time(installed.sequence),
            text(installed.manifest_digest.map(|digest| digest.to_string())),
            text(installed.release_kid.map(|kid| hex::encode(kid.0))),
            time(known_time(installed.stated_at)),
        ]
    };
    let [version, sequence, manifest_digest, release_kid, stated_at] = installed(device.firmware);
    let [table_version, table_sequence, table_manifest_digest, table_release_kid, table_stated_at] =
        installed(device.table);
    [
        device.serial,
        device.vendor.to_string(),
        device.class.to_string(),
        text(device.line),
        text(device.owner),
        text(device.state_set.then(|| device.state.to_string())),
        version,
        sequence,
        manifest_digest,
        release_kid,
        stated_at,
        table_version,
        table_sequence,
        table_manifest_digest,
        table_release_kid,
        table_stated_at,
        kids.iter().map(|kid| hex::encode(kid.0)).collect::<Vec<_>>().join(" "),
        time(known_time(device.anchors_at)),
        text(device.identity.map(hex::encode)),
        text(device.credential.map(hex::encode)),
        text(device.key_checks),
        device.vouched.to_string(),
        device.last_seen.to_string(),
        text(device.seen_by),
        time(retired_at),
        text(retired_reason),
    ]
}

/// The rows of a list that comes in.
pub(super) struct Rows<'a> {
    bytes: &'a [u8],
    reader: Reader<&'a [u8]>,
    /// For each cell of a row where in [`COLUMNS`] its column is.
    columns: Vec<usize>,
    lines: Lines,
    record: ByteRecord,
    /// Comments that may be rows, and what comes after them.
    waiting: VecDeque<Numbered>,
    is_over: bool,
}

impl<'a> Rows<'a> {
    /// Reads the header.
    pub(super) fn new(bytes: &'a [u8]) -> Result<Self, Problem> {
        let mut reader = ReaderBuilder::new().comment(Some(COMMENT)).from_reader(bytes);
        let header = reader.byte_headers().map_err(malformed)?;
        let mut columns = Vec::new();
        for cell in header {
            let name = unguarded(str::from_utf8(cell).unwrap_or("?"));
            let Some(column) = COLUMNS.iter().position(|column| *column == name) else {
                return Err(Problem::malformed(format!(
                    "The header has {name:?}, and a list of devices has no such column."
                )));
            };
            if columns.contains(&column) {
                return Err(Problem::malformed(format!("The column {name} is there twice.")));
            }
            columns.push(column);
        }
        if let Some(missing) =
            REQUIRED.iter().find(|name| !columns.iter().any(|column| COLUMNS.get(*column) == Some(name)))
        {
            let detail =
                format!("The list needs a header with the column {missing}, and a row for each device.");
            return Err(Problem::malformed(detail));
        }
        Ok(Self {
            bytes,
            reader,
            columns,
            lines: Lines::default(),
            record: ByteRecord::new(),
            waiting: VecDeque::new(),
            is_over: false,
        })
    }

    /// The next row that is not empty; `None` at the end.
    ///
    /// # Errors
    /// The list cannot be read on.
    pub(super) fn next(&mut self) -> Result<Option<Numbered>, Problem> {
        while self.waiting.is_empty() && !self.is_over {
            self.read()?;
        }
        Ok(self.waiting.pop_front())
    }

    fn read(&mut self) -> Result<(), Problem> {
        let read = self.reader.read_byte_record(&mut self.record);
        let at = self.record.position().map_or(0, csv::Position::byte);
        let mut begin = usize::try_from(at).unwrap_or(usize::MAX);
        // The reader takes blank lines and comments before a record for a part of it.
        while let Some(first) = self.bytes.get(begin) {
            let rest = self.bytes.get(begin..).unwrap_or_default();
            match first {
                b'\r' | b'\n' => begin += 1,
                &COMMENT => {
                    let end = rest.iter().position(|byte| *byte == b'\n').unwrap_or(rest.len());
                    self.judge_comment(begin, rest.get(..end).unwrap_or_default());
                    begin += end;
                }
                _ => break,
            }
        }
        // The reader makes a row of a comment that the end cuts off.
        self.is_over = matches!(read, Ok(false)) || begin >= self.bytes.len();
        if self.is_over {
            return Ok(());
        }
        let line = self.lines.number_at(self.bytes, begin);
        let row = match read {
            Ok(_) if self.record.iter().all(<[u8]>::is_empty) => return Ok(()),
            Ok(_) => self.row(),
            Err(error) => match error.kind() {
                ErrorKind::UnequalLengths { expected_len, len, .. } => Err(Problem::malformed(format!(
                    "The row has {len} cells, and the header {expected_len}."
                ))),
                _ => return Err(malformed(error)),
            },
        };
        self.waiting.push_back(Numbered { line, row });
        Ok(())
    }

    /// A serial number may begin with the mark of a comment: what looks like a row is not left out without a word.
    fn judge_comment(&mut self, begin: usize, comment: &[u8]) {
        let mut reader = ReaderBuilder::new().has_headers(false).from_reader(comment);
        let cells = reader.byte_records().next().and_then(Result::ok).map_or(0, |record| record.len());
        if cells == self.columns.len() {
            let line = self.lines.number_at(self.bytes, begin);
            let problem =
                Problem::malformed("The line begins with # like a comment, and has the cells of a row.")
                    .hint(
                        "Put the first cell in quotes if it is a row, or take the commas out of the comment.",
                    );
            self.waiting.push_back(Numbered { line, row: Err(problem) });
        }
    }

    fn row(&self) -> Result<Row, Problem> {
        let mut row = Row::default();
        for (cell, column) in self.record.iter().zip(&self.columns) {
            let cell = str::from_utf8(cell).map_err(|_| Problem::malformed("A cell is not UTF-8."))?;
            if let Some(place) = row.0.get_mut(*column) {
                *place = unguarded(cell).to_owned();
            }
        }
        Ok(row)
    }
}

fn malformed(error: csv::Error) -> Problem {
    Problem::malformed(format!("The CSV: {error}."))
}

/// A row, or why it cannot be read.
pub(super) struct Numbered {
    /// The number of the line on which it begins, from 1.
    pub(super) line: u64,
    pub(super) row: Result<Row, Problem>,
}

/// A row that came in, by the places in [`COLUMNS`].
#[derive(Default)]
pub(super) struct Row([String; COLUMNS.len()]);

impl Row {
    fn take(&mut self, column: &str) -> Option<String> {
        let place = COLUMNS.iter().position(|known| *known == column)?;
        self.0.get_mut(place).map(std::mem::take).filter(|cell| !cell.is_empty())
    }

    fn number(&mut self, column: &'static str) -> Result<Option<u64>, Problem> {
        let number = self.take(column).map(|cell| cell.parse());
        number
            .transpose()
            .map_err(|_| Problem::malformed(format!("The {column} is not an unsigned 64-bit integer.")))
    }

    /// The serial number, for a message.
    pub(super) fn serial(&self) -> String {
        self.0.first().cloned().unwrap_or_default()
    }

    /// What it says, as a registration, and of which times. Who has seen the device, and that it was retired, are the
    /// words of the server that made the list.
    pub(super) fn registration(mut self) -> Result<(Serial, Registration, ListTimes), Problem> {
        let row = &mut self;
        let serial = row.take("serial").unwrap_or_default().parse::<Serial>()?;
        check_serial(&serial)?;
        let reported_only = match row.take("vouched").as_deref() {
            None | Some("true") => false,
            Some("false") => true,
            Some(_) => return Err(Problem::malformed("A cell of vouched is true or false.")),
        };
        let times = ListTimes {
            reported_only,
            stated_at: row.number("stated_at")?,
            table_stated_at: row.number("table_stated_at")?,
            anchors_at: row.number("anchors_at")?,
            last_seen: row.number("last_seen")?,
        };
        let anchors = row.take("anchors").map(|kids| kids.split(' ').map(str::to_owned).collect());
        let message = Registration {
            vendor: row.take("vendor").unwrap_or_default(),
            class: row.take("class").unwrap_or_default(),
            version: row.take("version"),
            sequence: row.number("sequence")?,
            manifest_digest: row.take("manifest_digest"),
            release_kid: row.take("release_kid"),
            // Empty cells are of none.
            table: Some(TableRegistration {
                version: row.take("table_version"),
                sequence: row.number("table_sequence")?,
                manifest_digest: row.take("table_manifest_digest"),
                release_kid: row.take("table_release_kid"),
            })
            .filter(|table| *table != TableRegistration::default()),
            anchors,
            identity: row.take("identity"),
            credential: row.take("credential"),
            line: row.take("line"),
            owner: row.take("owner"),
            state: row.take("state"),
            key_checks: row.take("key_checks"),
            at: None,
        };
        Ok((serial, message, times))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(list: &str) -> Vec<u64> {
        let mut rows = Rows::new(list.as_bytes()).unwrap();
        std::iter::from_fn(|| rows.next().unwrap().map(|numbered| numbered.line)).collect()
    }

    #[test]
    fn srv57_a_row_has_the_number_of_the_line_on_which_it_begins() {
        let header = "serial,vendor,class";
        for (list, expected) in [
            (format!("{header}\nA,b,c\nD,e,f\n"), vec![2, 3]),
            (format!("{header}\r\nA,b,c\r\nD,e,f"), vec![2, 3]),
            (format!("\n\n{header}\n\n\nA,b,c\n\nD,e,f\n\n"), vec![6, 8]),
            (format!("{header}\r\n\r\nA,b,c\r\n\r\n\r\nD,e,f\r\n"), vec![3, 6]),
            (format!("{header}\n\"A\nA\",b,\"c\n\nc\"\nD,e,f\n"), vec![2, 6]),
            (format!("# of A, \"B\n{header}\n# one\n#\nA,b,c\n\n# two\n\nD,e,f"), vec![5, 9]),
            (format!("{header}\nA,b\n\nD,e,f\n,,\nG,h,i,j\n"), vec![2, 4, 6]),
            (format!("\u{feff}{header}\nA,b,c\n"), vec![2]),
            (format!("{header}\nA,b,c\n# the end"), vec![2]),
            (format!("{header}\rA,b,c\r\rD,e,f\r"), vec![2, 4]),
            (format!("{header}\n\"#1\",b,c\n#2,b\n#3,b,c\n\n#4,\"b\",c"), vec![2, 4, 6]),
        ] {
            assert_eq!(lines(&list), expected, "{list:?}");
        }
    }

    #[test]
    fn srv56_no_cell_begins_like_a_formula_and_each_reads_back() {
        let texts = [
            "=1+1",
            "+1",
            "-1",
            "@SUM(A1)",
            "\tx",
            "\rx",
            "\nx",
            "'",
            "''=1",
            "'=1",
            "''",
            "' x",
            "'x ",
            "'''＝1 ",
            "'x",
            " x",
            "x ",
            " ",
            "＝1",
            "＠",
            "x",
            "#x",
            "a,b",
            "a\"b",
            "=HYPERLINK(\"x\")",
            "",
            "x=1",
            "=",
        ];
        for text in texts {
            let mut row: [String; COLUMNS.len()] = Default::default();
            (row[0], row[3]) = (text.to_owned(), text.to_owned());
            row[1] = "x".to_owned();
            let row =
                encode([COLUMNS.map(str::to_owned), row.map(|cell| guarded(&cell).into_owned())]).unwrap();
            let shown = String::from_utf8(row.to_vec()).unwrap();
            let cells = csv::Reader::from_reader(&row[..]).into_records().next().unwrap().unwrap();
            assert!(!cells[3].starts_with(['=', '+', '-', '@', '\t', '\r', '\n', '＝', '＠']), "{shown}");
            let read = Rows::new(&row).unwrap().next().unwrap().unwrap().row.unwrap();
            assert_eq!((&*read.0[0], &*read.0[3]), (text, text), "{shown}");
        }
    }

    #[test]
    fn a_header_names_known_columns_once_and_those_that_are_needed() {
        for list in [
            "",
            "\n",
            "serial,vendor\n",
            "serial,vendor,class,colour\n",
            "serial,vendor,class,class\n",
            "# x\n",
        ] {
            assert!(Rows::new(list.as_bytes()).is_err(), "{list:?}");
        }
        assert!(Rows::new(b"class, vendor , serial\n").is_ok());
    }
}
