//! The flash in a file: what has been programmed is there after the process was killed, as on a chip after a power
//! cut. The file has the size that QEMU asks of the board's PSRAM, and may be used there.

use std::fs::{File, TryLockError};
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::sync::Arc;

use flash_array::{FlashArray, HEADER_LEN, Store, store_len};
use qemu_mps2_support::layout::FLASH_LEN;

/// As large as the PSRAM of the board; the file is sparse.
const FILE_LEN: u64 = 16 * 1024 * 1024;
const _: () = assert!(store_len(FLASH_LEN) as u64 <= FILE_LEN);

/// The device's flash.
pub(crate) type Flash = FlashArray<FlashStore>;

/// An open flash file that no other process uses.
#[derive(Debug)]
pub(crate) struct FlashFile(Arc<File>);

/// Access to the bytes of a [`FlashFile`].
#[derive(Debug)]
pub(crate) struct FlashStore(Arc<File>);

impl FlashFile {
    /// Opens or creates it; an empty one becomes a new chip. What cannot be a flash is refused before anything is
    /// changed. The lock ends with the process.
    pub(crate) fn open(path: &Path) -> io::Result<Self> {
        let mut options = File::options();
        options.read(true).write(true).create(true).truncate(false);
        // Keys of the device may lie in it.
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let file = options.open(path)?;
        file.try_lock().map_err(|error| match error {
            TryLockError::WouldBlock => io::Error::other("another device uses it"),
            TryLockError::Error(error) => error,
        })?;
        match file.metadata()?.len() {
            0 => file.set_len(FILE_LEN)?,
            FILE_LEN.. if is_set_up(&file)? || is_untouched(&file)? => {}
            len => return Err(io::Error::other(format!("it is no flash file ({len} bytes)"))),
        }
        Ok(Self(Arc::new(file)))
    }

    /// The chip at power-up.
    pub(crate) fn power_up(&self) -> Result<Flash, flash_array::Error<io::Error>> {
        FlashArray::power_up(FlashStore(Arc::clone(&self.0)), FLASH_LEN)
    }
}

/// Whether something says what the file holds. [`FlashArray::power_up`] refuses what is not its own.
fn is_set_up(file: &File) -> io::Result<bool> {
    let mut header = [0; HEADER_LEN as usize];
    file.read_exact_at(&mut header, u64::from(store_len(FLASH_LEN) - HEADER_LEN))?;
    Ok(header != [0; HEADER_LEN as usize])
}

/// Whether the file holds nothing yet: zeros, or the beginning of an erasure that was cut.
fn is_untouched(file: &File) -> io::Result<bool> {
    let mut bytes = vec![0; FLASH_LEN as usize];
    file.read_exact_at(&mut bytes, 0)?;
    Ok(bytes.iter().all(|byte| [0x00, 0xFF].contains(byte)))
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
    use embedded_storage::nor_flash::{NorFlash as _, ReadNorFlash as _};

    use super::*;

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
        let mut sparse = vec![0; 1 << 24];
        sparse[0] = 0x41;
        for bytes in [vec![0x41; 100], vec![0; 100], vec![0x41; 1 << 21], sparse] {
            std::fs::write(&path, &bytes).unwrap();
            let error = FlashFile::open(&path).unwrap_err();
            assert_eq!(error.to_string(), format!("it is no flash file ({} bytes)", bytes.len()));
            assert!(std::fs::read(&path).unwrap() == bytes, "{} bytes were changed", bytes.len());
        }
        let foreign = vec![0x41; 1 << 24];
        std::fs::write(&path, &foreign).unwrap();
        assert!(FlashFile::open(&path).unwrap().power_up().is_err());
        assert!(std::fs::read(&path).unwrap() == foreign);
    }

    #[test]
    fn an_empty_file_and_one_whose_erasure_was_cut_are_new_chips() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("flash");
        let mut cut = vec![0; 1 << 24];
        cut[..8192].fill(0xFF);
        for bytes in [vec![], vec![0; 1 << 24], cut] {
            std::fs::write(&path, &bytes).unwrap();
            let mut flash = FlashFile::open(&path).unwrap().power_up().unwrap();
            let mut word = [0; 8];
            flash.read(FLASH_LEN - 8, &mut word).unwrap();
            assert_eq!(word, [0xFF; 8]);
        }
    }
}
