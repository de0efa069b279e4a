//! `key master`: make a master key.

use std::path::PathBuf;

use serde::Serialize;

use crate::error::Error;
use crate::master_key::generate;
use crate::output::{Report, table};

/// Make a master key, of which the update keys of devices are derived
#[derive(clap::Args, Clone, Debug)]
pub struct Master {
    /// Master key to write (64 hexadecimal digits, mode 0600, not encrypted); must not exist
    #[arg(long, value_name = "MASTER.key")]
    out: PathBuf,
}

#[derive(Debug, Serialize)]
pub struct Made {
    master_key: PathBuf,
    encrypted: bool,
}

impl Master {
    pub fn run(&self) -> Result<Made, Error> {
        generate(&self.out)?;
        Ok(Made { master_key: self.out.clone(), encrypted: false })
    }
}

impl Report for Made {
    fn lines(&self) -> String {
        table(&[("master key", self.master_key.display().to_string()), ("encrypted", "NO".to_owned())])
    }
}
