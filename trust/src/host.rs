//! What every program on an operating system reads and writes alike (std, feature `host`): key files, files with a
//! limit and files of its own, serials and versions, text for terminals, token files, a clock that is wrong,
//! how slow a line may be.

mod anchors;
mod clock;
#[cfg(feature = "command-line")]
mod command_line;
mod key_file;
mod names;
mod own;
mod pem;
mod private_key;
mod read;
#[cfg(unix)]
mod size_limit;
mod terminal;
mod token_file;
mod transfer;
#[cfg(feature = "files")]
mod whole;

pub use crate::credential::read_unverified_credential;
pub use crate::revocation::read_unverified_revocation;
pub use anchors::{AnchorFault, AnchorsError, RecoveryFile, domain_of_hex, join_anchors, open_anchors};
pub use clock::{ClockFault, clock_fault, clock_warning};
#[cfg(feature = "command-line")]
pub use command_line::{names_option, parse_command_line, parse_or_exit, report_usage, usage_message};
pub use key_file::{KeyFileError, MAX_KEY_FILE_LEN, open_public_key, parse_public_key, to_ssh_line};
pub use names::{NameError, Serial, VersionText, device_id};
#[cfg(unix)]
pub use own::{OtherOwner, lock_folder, refuse_other_owner};
pub use own::{check_own_file, kind_of, lock_own, open_own};
pub use pem::{Pem, PemError};
pub use private_key::{PrivateKeyWatch, contains_private_key, is_private_key};
pub use read::{ReadError, contains, open_file, open_limited, read, read_file, read_limited, without_mark};
#[cfg(unix)]
pub use size_limit::report_size_limit;
pub use terminal::{is_line, printable, printable_cut};
pub use token_file::{MAX_TOKEN_FILE_LEN, TokenFileError, TokenPermission, read_tokens, read_write_token};
pub use transfer::transfer_time;
#[cfg(feature = "files")]
pub use whole::{Existing, Nameless, Readers, folder_of, is_temporary_name, synchronise, write_whole};
