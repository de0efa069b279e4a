//! The flash in a file: what has been programmed is there after the process was killed, as on a chip after a power
//! cut. The file has the size that QEMU asks of the board's PSRAM, and may be used there.

use flash_array::{FlashArray, Store};
use qemu_mps2_an386_support::layout::FLASH_LEN;
use std::fs::{File, TryLockError};
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::sync::Arc;

/// As large as the PSRAM of the board; the file is sparse.
const FILE_LEN: u64 = 16 * 1024 * 1024;
const _: () = assert!(flash_array::store_len(FLASH_LEN) as u64 <= FILE_LEN);

/// The device's flash.
pub(crate) type Flash = FlashArray<FlashStore>;

/// An open flash file that no other process uses.
#[derive(Debug)]
pub(crate) struct FlashFile(Arc<File>);

/// Access to the bytes of a [`FlashFile`].
#[derive(Debug)]
pub(crate) struct FlashStore(Arc<File>);

impl FlashFile {
    /// Opens or creates it. The lock ends with the process.
    pub(crate) fn open(path: &Path) -> io::Result<Self> {
        let file = File::options().read(true).write(true).create(true).truncate(false).open(path)?;
        file.try_lock().map_err(|error| match error {
            TryLockError::WouldBlock => io::Error::other("another device uses it"),
            TryLockError::Error(error) => error,
        })?;
        if file.metadata()?.len() < FILE_LEN {
            file.set_len(FILE_LEN)?;
        }
        Ok(Self(Arc::new(file)))
    }

    /// The chip at power-up.
    pub(crate) fn power_up(&self) -> Result<Flash, flash_array::Error<io::Error>> {
        FlashArray::power_up(FlashStore(Arc::clone(&self.0)), FLASH_LEN)
    }
}

/// No buffer in between: what `write` has taken, the kernel keeps.
impl Store for FlashStore {
    type Error = io::Error;

    fn read(&mut self, offset: u32, bytes: &mut [u8]) -> io::Result<()> {
        self.0.read_exact_at(bytes, offset.into())
    }

    fn write(&mut self, offset: u32, bytes: &[u8]) -> io::Result<()> {
        self.0.write_all_at(bytes, offset.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use embedded_storage::nor_flash::{NorFlash as _, ReadNorFlash as _};

    #[test]
    fn what_was_programmed_is_there_after_a_power_cycle() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("flash");
        FlashFile::open(&path).unwrap().power_up().unwrap().write(4096, &[0x5A; 8]).unwrap();
        let mut flash = FlashFile::open(&path).unwrap().power_up().unwrap();
        let mut bytes = [0; 16];
        flash.read(4096, &mut bytes).unwrap();
        assert_eq!(bytes, [[0x5A; 8], [0xFF; 8]].concat()[..]);
        assert!(flash.write(4096, &[0; 8]).is_err());
    }

    #[test]
    fn a_flash_belongs_to_one_device() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("flash");
        let _first = FlashFile::open(&path).unwrap();
        assert!(FlashFile::open(&path).is_err());
    }

    #[test]
    fn a_file_that_is_no_flash_is_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("flash");
        let bytes = vec![0x41; 1 << 21];
        std::fs::write(&path, &bytes).unwrap();
        assert!(FlashFile::open(&path).unwrap().power_up().is_err());
        assert_eq!(std::fs::read(&path).unwrap()[..bytes.len()], bytes);
    }
}
