//! Lists of devices that programs hand to each other: cells that no spreadsheet takes for formulas, the lines on which
//! rows begin, and the folder of a production line (docs/manifest-tool.md, `provision`; docs/updater-host.md, Log of the
//! line). manifest-tool makes that folder, updater-host works through it, and manifest-tool registers what became of it.
//!
//! Nothing here touches a file or a clock.
#![forbid(unsafe_code)]
#![warn(missing_docs, clippy::missing_errors_doc, clippy::must_use_candidate)]

mod cell;
mod lines;
mod list;
mod log;
mod name;

pub use cell::{guarded, unguarded};
pub use lines::{Lines, beginning};
pub use list::{
    LIST_FILE, ListFault, MAX_DEVICES, MAX_LIST_LEN, Row, is_list, read_list, what_is_wrong, write_list,
};
pub use log::{
    AnchorFacts, Entry, Head, LOG_FILE, Log, LogFault, MAX_LINE_LEN, MAX_LOG_LEN, Outcome, is_log, line_of,
};
pub use name::{ENVELOPE_SUFFIX, ciphertext_name, envelope_name, file_name};
