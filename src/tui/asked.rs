//! What a layer was opened for, so that its answer finds its way back.

use crate::export::Format;

#[derive(Clone, Debug, PartialEq)]
pub enum Asked {
    /// An action to carry out.
    Palette,
    /// A setting for a new axis, and then its values.
    AxisKey,
    AxisValues {
        key: String,
    },
    /// New values for a key of an axis.
    AxisEdit {
        key: String,
    },
    /// New values for all keys of a zip.
    ZipEdit,
    /// Another setting for the axis that has `key`.
    AxisRename {
        key: String,
    },
    /// A setting that all cells share, and then its value.
    BaseKey,
    BaseValue {
        key: String,
    },
    Seeds,
    Design,
    Question,
    Preset,
    File,
    /// Which runs to list.
    RunsFilter,
    /// Which runs to draw.
    WatchFilter,
    /// Which metrics to draw.
    Panels,
    /// Which metric to tabulate.
    Metric,
    ExportFormat,
    ExportPath {
        format: Format,
    },
    FigurePath,
    /// An external edit contradicts ours: which one holds.
    Conflict,
    /// Nothing: the page was read.
    Nothing,
}
