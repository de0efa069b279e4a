//! An initramfs in memory: the "newc" format of cpio (Linux, Documentation/driver-api/early-userspace).

use anyhow::{Result, ensure};

const MAGIC: &str = "070701";
const DIRECTORY: u32 = 0o040_755;
const FILE: u32 = 0o100_644;
const PROGRAM: u32 = 0o100_755;
/// Name of the entry that ends an archive.
const TRAILER: &str = "TRAILER!!!";

/// Entries are added in order; a directory comes before what is in it.
pub(super) struct Archive {
    bytes: Vec<u8>,
    next_inode: u32,
}

impl Archive {
    pub(super) fn new() -> Self {
        Self { bytes: Vec::new(), next_inode: 1 }
    }

    pub(super) fn directory(&mut self, name: &str) -> Result<()> {
        self.entry(name, DIRECTORY, &[])
    }

    pub(super) fn file(&mut self, name: &str, data: &[u8]) -> Result<()> {
        self.entry(name, FILE, data)
    }

    pub(super) fn program(&mut self, name: &str, data: &[u8]) -> Result<()> {
        self.entry(name, PROGRAM, data)
    }
    pub(super) fn finish(mut self) -> Result<Vec<u8>> {
        self.entry(TRAILER, 0, &[])?;
        Ok(self.bytes)
    }

    fn entry(&mut self, name: &str, mode: u32, data: &[u8]) -> Result<()> {
        ensure!(!name.starts_with('/'), "{name}: names in an archive are relative");
        let links = 1;
        let name_size = u32::try_from(name.len() + 1)?;
        let fields = [
            self.next_inode,
            mode,
            0, // user
            0, // group
            links,
            0, // time
            u32::try_from(data.len())?,
            0, // device, major and minor
            0,
            0, // what a device node stands for
            0,
            name_size,
            0, // check sum: none in this format
        ];
        self.bytes.extend(MAGIC.bytes());
        for field in fields {
            self.bytes.extend(format!("{field:08x}").bytes());
        }
        self.bytes.extend(name.bytes());
        self.bytes.push(0);
        self.pad();
        self.bytes.extend(data);
        self.pad();
        self.next_inode += 1;
        Ok(())
    }

    /// Names and data are aligned to 4 bytes.
    fn pad(&mut self) {
        self.bytes.resize(self.bytes.len().next_multiple_of(4), 0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bytes_are_those_that_cpio_writes() {
        let mut archive = Archive::new();
        archive.file("a", b"hello").expect("fits");
        let bytes = archive.finish().expect("fits");
        let entry = |inode: u32, mode: u32, size: u32, name_size: u32| {
            format!(
                "070701{inode:08x}{mode:08x}{:016x}{:08x}{:08x}{size:08x}{:032x}{name_size:08x}{:08x}",
                0, 1, 0, 0, 0
            )
        };
        let file = entry(1, 0o100_644, 5, 2) + "a\0" + "hello\0\0\0";
        let trailer = entry(2, 0, 0, 11) + "TRAILER!!!\0" + "\0\0\0";
        let expected = file + &trailer;
        assert_eq!(String::from_utf8(bytes).expect("ASCII"), expected);
    }

    #[test]
    fn an_absolute_name_is_refused() {
        assert!(Archive::new().file("/init", b"").is_err());
    }
}
