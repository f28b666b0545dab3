//! The manifest: parsed with places, validated, edited without losing a comment.
pub mod model;
