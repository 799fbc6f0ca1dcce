//! Why a sample cannot be used. The words are those that a run's log counts samples by.

/// One reason; samples are counted by it.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    serde::Serialize,
    serde::Deserialize,
    thiserror::Error,
)]
#[serde(rename_all = "snake_case")]
pub enum Fault {
    #[error("no image")]
    NoImage,
    #[error("no caption")]
    NoCaption,
    #[error("empty caption")]
    EmptyCaption,
    #[error("caption not UTF-8")]
    NotUtf8,
    #[error("caption over 1 MiB")]
    LongCaption,
    #[error("broken JSON")]
    BrokenJson,
    #[error("broken row")]
    BrokenRow,
    #[error("climbing name")]
    ClimbingName,
    #[error("stray file")]
    Stray,
    #[error("no plain file")]
    NoPlainFile,
    #[error("damaged archive")]
    DamagedArchive,
    #[error("unreadable file")]
    Unreadable,
    #[error("no class")]
    NoClass,
    #[error("values not finite")]
    NotFinite,
    #[error("not a jpeg, png or webp")]
    NoImageFormat,
    #[error("cut image")]
    CutImage,
    #[error("broken image")]
    BrokenImage,
    #[error("image over the limits")]
    LargeImage,
}
