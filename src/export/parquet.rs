//! Frames to a Parquet file that pandas, polars and DuckDB read: one row group a frame, every column optional, with what
//! the file is from in its key-value metadata.

use std::io::Write;
use std::sync::Arc;

use parquet::basic::{Compression, LogicalType, Repetition, Type as Physical, ZstdLevel};
use parquet::data_type::{BoolType, ByteArray, ByteArrayType, DataType, DoubleType, Int64Type};
use parquet::errors::Result;
use parquet::file::metadata::KeyValue;
use parquet::file::properties::WriterProperties;
use parquet::file::writer::{SerializedColumnWriter, SerializedFileWriter};
use parquet::schema::types::{Type, TypePtr};

use super::frame::{Frame, Values};

/// A file under way: without [`finish`](Self::finish) it is none.
pub struct ParquetFile<W: Write + Send> {
    writer: SerializedFileWriter<W>,
}

impl<W: Write + Send> ParquetFile<W> {
    /// Begin a file for frames of the columns of `first`; `about` says what it is from.
    pub fn begin(out: W, first: &Frame, about: &[(&str, String)]) -> anyhow::Result<Self> {
        let about = about
            .iter()
            .map(|(key, value)| KeyValue::new((*key).to_owned(), value.clone()));
        let properties = WriterProperties::builder()
            .set_created_by(format!("siglab {}", env!("CARGO_PKG_VERSION")))
            .set_compression(Compression::ZSTD(ZstdLevel::default()))
            .set_key_value_metadata(Some(about.collect()))
            .build();
        let fields = first
            .columns
            .iter()
            .map(|(name, values)| field(name, values));
        let schema = Type::group_type_builder("schema")
            .with_fields(fields.collect::<Result<_>>()?)
            .build()?;
        let writer = SerializedFileWriter::new(out, Arc::new(schema), Arc::new(properties))?;
        Ok(Self { writer })
    }

    pub fn write(&mut self, frame: &Frame) -> anyhow::Result<()> {
        if frame.rows() == 0 {
            return Ok(());
        }
        let mut group = self.writer.next_row_group()?;
        for (_, values) in &frame.columns {
            let mut column = group
                .next_column()?
                .expect("every frame has the columns of the first");
            match values {
                Values::Text(values) => put::<ByteArrayType, _>(&mut column, values, |text| {
                    ByteArray::from(text.as_bytes().to_vec())
                }),
                Values::Whole(values) => put::<Int64Type, _>(&mut column, values, |x| *x),
                Values::Real(values) => put::<DoubleType, _>(&mut column, values, |x| *x),
                Values::Truth(values) => put::<BoolType, _>(&mut column, values, |x| *x),
            }?;
            column.close()?;
        }
        group.close()?;
        Ok(())
    }

    /// Write the footer; gives back what was written to.
    pub fn finish(self) -> anyhow::Result<W> {
        Ok(self.writer.into_inner()?)
    }
}

/// A file of one frame.
pub fn bytes(frame: &Frame, about: &[(&str, String)]) -> anyhow::Result<Vec<u8>> {
    let mut file = ParquetFile::begin(Vec::new(), frame, about)?;
    file.write(frame)?;
    file.finish()
}

fn field(name: &str, values: &Values) -> Result<TypePtr> {
    let (physical, logical) = match values {
        Values::Text(_) => (Physical::BYTE_ARRAY, Some(LogicalType::String)),
        Values::Whole(_) => (Physical::INT64, None),
        Values::Real(_) => (Physical::DOUBLE, None),
        Values::Truth(_) => (Physical::BOOLEAN, None),
    };
    let field = Type::primitive_type_builder(name, physical)
        .with_repetition(Repetition::OPTIONAL)
        .with_logical_type(logical);
    Ok(Arc::new(field.build()?))
}

/// The values that are there, and of each row whether it has one.
fn put<T: DataType, V>(
    column: &mut SerializedColumnWriter<'_>,
    values: &[Option<V>],
    as_stored: impl Fn(&V) -> T::T,
) -> Result<()> {
    let there: Vec<T::T> = values.iter().flatten().map(as_stored).collect();
    let levels: Vec<i16> = values.iter().map(|value| value.is_some().into()).collect();
    let column = column.typed::<T>();
    column.write_batch(&there, Some(&levels), None).map(drop)
}
