//! Frames to CSV for a spreadsheet or a script: numbers in full, a gap an empty field. Text that a spreadsheet would run
//! is defused.

use std::io::{self, Write};

use anyhow::Context;

use super::frame::{Frame, Values};

/// A file under way.
pub struct CsvFile<W: Write> {
    writer: csv::Writer<W>,
}

impl<W: Write> CsvFile<W> {
    /// Begin a file for frames of the columns of `first`.
    pub fn begin(out: W, first: &Frame) -> anyhow::Result<Self> {
        let mut writer = csv::Writer::from_writer(out);
        let names = first.columns.iter().map(|(name, _)| inert(name));
        writer.write_record(names).map_err(of_writing)?;
        Ok(Self { writer })
    }

    pub fn write(&mut self, frame: &Frame) -> anyhow::Result<()> {
        for row in 0..frame.rows() {
            for (_, values) in &frame.columns {
                self.put(|writer| writer.write_field(field(values, row)))?;
            }
            self.put(|writer| writer.write_record(None::<&[u8]>))?;
        }
        Ok(())
    }

    fn put(&mut self, put: impl FnOnce(&mut csv::Writer<W>) -> csv::Result<()>) -> io::Result<()> {
        put(&mut self.writer).map_err(of_writing)
    }

    /// Write what is still held back; gives back what was written to.
    pub fn finish(self) -> anyhow::Result<W> {
        let finished = self.writer.into_inner();
        finished
            .map_err(|e| e.into_error())
            .context("cannot write CSV")
    }
}

/// An error as that of what was written to, for who asks whether a reader has left.
fn of_writing(error: csv::Error) -> io::Error {
    match error.into_kind() {
        csv::ErrorKind::Io(error) => error,
        other => io::Error::other(format!("{other:?}")),
    }
}

/// A file of one frame.
pub fn bytes(frame: &Frame) -> anyhow::Result<Vec<u8>> {
    let mut file = CsvFile::begin(Vec::new(), frame)?;
    file.write(frame)?;
    file.finish()
}

fn field(values: &Values, row: usize) -> String {
    match values {
        Values::Text(values) => values[row].as_deref().map_or_else(String::new, inert),
        Values::Whole(values) => values[row].map_or_else(String::new, |x| x.to_string()),
        Values::Real(values) => values[row].map_or_else(String::new, real),
        Values::Truth(values) => values[row].map_or_else(String::new, |x| x.to_string()),
    }
}

/// The shortest digits that read back as `x`, without a row of zeros.
fn real(x: f64) -> String {
    match x.abs() {
        0.0 | 1e-5..1e16 => x.to_string(),
        _ => format!("{x:e}"),
    }
}

/// `text` with a quote in front if a spreadsheet would take it for a formula; numbers are none.
pub(super) fn inert(text: &str) -> String {
    let signs = [
        '=', '+', '-', '@', '\t', '\r', '\n', '\u{ff1d}', '\u{ff0b}', '\u{ff0d}', '\u{ff20}',
    ];
    let formula = text.starts_with(signs) && text.parse::<f64>().is_err();
    if formula {
        format!("'{text}")
    } else {
        text.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formulas_are_defused_and_numbers_are_not() {
        assert_eq!(
            [
                "=1", "+x", "-10", "-a", "@b", "c", "\t=1", "\n=1", "-1e-3", "＝1"
            ]
            .map(inert),
            [
                "'=1", "'+x", "-10", "'-a", "'@b", "c", "'\t=1", "'\n=1", "-1e-3", "'＝1"
            ]
        );
    }

    #[test]
    fn a_gap_is_empty_and_a_number_reads_back() {
        let mut frame = Frame::default();
        let numbers = [
            0.1 + 0.2,
            -2e-300,
            1e300,
            123_456_789.0,
            f64::NAN,
            f64::INFINITY,
        ];
        frame.push("x", Values::reals(numbers.map(Some)));
        frame.push("-n", Values::counts([0, 1, 2, 3, 4, u64::MAX]));
        let text = String::from_utf8(bytes(&frame).unwrap()).unwrap();
        insta::assert_snapshot!(text, @r"
        x,'-n
        0.30000000000000004,0
        -2e-300,1
        1e300,2
        123456789,3
        ,4
        ,
        ");
        let read = text.lines().skip(1).zip(numbers);
        for (line, x) in read.filter(|(_, x)| x.is_finite()) {
            assert_eq!(line.split(',').next().unwrap().parse(), Ok(x));
        }
    }
}
