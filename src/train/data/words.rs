//! A closed vocabulary.
