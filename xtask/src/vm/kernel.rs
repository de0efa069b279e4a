//! The guest's system: Debian's kernel, its CAN modules, busybox, slcand and tc, unpacked from their packages.
//! Nothing is installed; root is not needed. What was fetched once stays in `target/vm/system`.

use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};

use crate::process;
use crate::tools;
use crate::workspace::Workspace;

/// The package that depends on the kernel package of the day.
const KERNEL: &str = "linux-image-amd64";
/// What else the guest needs: a shell, the daemon that makes a CAN interface of a serial line, `tc`, which gives an
/// interface a bit rate and a short queue, their libraries, and those of our own programs.
const PACKAGES: [&str; 13] = [
    "busybox-static",
    "can-utils",
    "iproute2",
    "libbpf1",
    "libbsd0",
    "libc6",
    "libcap2",
    "libelf1",
    "libgcc-s1",
    "libmd0",
    "libmnl0",
    "libxtables12",
    "zlib1g",
];
pub(super) const PROGRAMS: [&str; 3] = ["busybox", "slcand", "tc"];
pub(super) const LIBRARIES: [&str; 11] = [
    "libbpf.so.1",
    "libbsd.so.0",
    "libc.so.6",
    "libcap.so.2",
    "libelf.so.1",
    "libgcc_s.so.1",
    "libm.so.6",
    "libmd.so.0",
    "libmnl.so.0",
    "libxtables.so.12",
    "libz.so.1",
];
/// The loader of dynamically linked programs.
pub(super) const DYNAMIC_LOADER: &str = "ld-linux-x86-64.so.2";
/// Loaded in this order; vcan is loaded a second time, with echoes.
pub(super) const MODULES: [&str; 6] = ["can", "can-raw", "can-dev", "vcan", "slcan", "sch_netem"];
/// Written last: the cache is whole.
const COMPLETE: &str = "complete";

/// Files of the guest's system.
pub(super) struct System {
    directory: PathBuf,
}

impl System {
    /// Takes the system from the cache, or fetches it.
    pub(super) fn provide(workspace: &Workspace) -> Result<Self> {
        let system = Self { directory: workspace.target().join("vm").join("system") };
        if !system.is_complete() {
            tools::APT.require()?;
            tools::DPKG_DEB.require()?;
            eprintln!("fetching the guest's kernel into {}", system.directory.display());
            let directory = workspace.fresh_directory("vm/system")?;
            fetch(&directory).context("cannot fetch the guest's system with apt")?;
        }
        Ok(system)
    }

    /// Whether the cache holds everything; an older one may lack something.
    fn is_complete(&self) -> bool {
        let modules = MODULES.map(|module| self.module(module));
        let files = PROGRAMS.iter().chain(&LIBRARIES).chain(&[DYNAMIC_LOADER, COMPLETE]);
        modules.iter().all(|module| module.is_file())
            && files.into_iter().all(|file| self.file(file).is_file())
    }

    pub(super) fn kernel(&self) -> PathBuf {
        self.directory.join("vmlinuz")
    }

    /// Release of the kernel, as `uname -r` prints it.
    pub(super) fn release(&self) -> Result<String> {
        Ok(std::fs::read_to_string(self.directory.join(COMPLETE))?.trim().to_owned())
    }

    pub(super) fn module(&self, name: &str) -> PathBuf {
        self.directory.join(format!("{name}.ko"))
    }

    pub(super) fn file(&self, name: &str) -> PathBuf {
        self.directory.join(name)
    }
}

fn fetch(directory: &Path) -> Result<()> {
    let packages = directory.join("packages");
    std::fs::create_dir_all(&packages)?;
    let private = directory.join("apt");
    // The machine's own package lists do, unless they are missing or stale.
    if download(&packages, None).is_err() {
        std::fs::create_dir_all(private.join("lists/partial"))?;
        std::fs::create_dir_all(private.join("archives/partial"))?;
        process::check(apt("apt-get", &packages, Some(&private)).args(["update", "--quiet=2"]))?;
        download(&packages, Some(&private))?;
    }
    let unpacked = directory.join("unpacked");
    for entry in std::fs::read_dir(&packages)? {
        let package = entry?.path();
        process::check(Command::new(tools::DPKG_DEB.program).arg("-x").arg(package).arg(&unpacked))?;
    }
    keep(&unpacked, directory)?;
    let release = release_of(&unpacked)?;
    for scratch in [&packages, &unpacked, &private] {
        if scratch.exists() {
            std::fs::remove_dir_all(scratch)?;
        }
    }
    std::fs::write(directory.join(COMPLETE), release)?;
    Ok(())
}

/// An apt program; with `private` it keeps its state there instead of in the machine's directories.
fn apt(program: &str, packages: &Path, private: Option<&Path>) -> Command {
    let mut command = Command::new(program);
    command.current_dir(packages).args(["-o", "APT::Sandbox::User=root"]);
    if let Some(private) = private {
        command.arg("-o").arg(format!("Dir::State::Lists={}", private.join("lists").display()));
        command.arg("-o").arg(format!("Dir::Cache={}", private.display()));
    }
    command
}

fn download(packages: &Path, private: Option<&Path>) -> Result<()> {
    let depends = process::output(apt("apt-cache", packages, private).args(["depends", KERNEL]))?;
    let depends = String::from_utf8(depends)?;
    let kernel = depends
        .lines()
        .find_map(|line| line.trim().strip_prefix("Depends: "))
        .with_context(|| format!("apt finds no kernel for {KERNEL}"))?;
    let mut command = apt("apt-get", packages, private);
    command.args(["download", "--quiet=2", kernel]).args(PACKAGES);
    process::output(&mut command)?;
    Ok(())
}

/// Copies what the guest needs out of the unpacked packages.
fn keep(unpacked: &Path, directory: &Path) -> Result<()> {
    let mut files = Vec::new();
    collect(unpacked, &mut files)?;
    let find = |matches: &dyn Fn(&str) -> bool, what: &str| {
        let named = |path: &&PathBuf| path.file_name().and_then(|name| name.to_str()).is_some_and(matches);
        files.iter().find(named).cloned().with_context(|| format!("the packages lack {what}"))
    };
    for name in PROGRAMS.iter().chain(&LIBRARIES).chain(&[DYNAMIC_LOADER]) {
        // A configuration file may have the same name.
        let mut named = files.iter().filter(|path| path.file_name().is_some_and(|file| file == *name));
        let program = named.find(|path| is_elf(path)).with_context(|| format!("the packages lack {name}"))?;
        std::fs::copy(program, directory.join(name))?;
    }
    std::fs::copy(find(&|file| file.starts_with("vmlinuz-"), "kernel")?, directory.join("vmlinuz"))?;
    for module in MODULES {
        let matches = |file: &str| {
            file.strip_prefix(module).is_some_and(|rest| [".ko", ".ko.xz", ".ko.zst"].contains(&rest))
        };
        let source = find(&matches, module)?;
        std::fs::write(directory.join(format!("{module}.ko")), decompress(&source)?)?;
    }
    Ok(())
}

fn is_elf(path: &Path) -> bool {
    let mut magic = [0; 4];
    std::fs::File::open(path).and_then(|mut file| file.read_exact(&mut magic)).is_ok() && magic == *b"\x7fELF"
}

/// Kernels after Debian 12 compress their modules.
fn decompress(module: &Path) -> Result<Vec<u8>> {
    let tool = match module.extension().and_then(|extension| extension.to_str()) {
        Some("xz") => tools::XZ,
        Some("zst") => tools::ZSTD,
        _ => return Ok(std::fs::read(module)?),
    };
    tool.require()?;
    process::output(Command::new(tool.program).arg("-dc").arg(module))
}

fn release_of(unpacked: &Path) -> Result<String> {
    for entry in std::fs::read_dir(unpacked.join("boot"))? {
        let name = entry?.file_name().to_string_lossy().into_owned();
        if let Some(release) = name.strip_prefix("vmlinuz-") {
            return Ok(release.to_owned());
        }
    }
    bail!("the kernel package contains no kernel")
}

/// Regular files and links to files below a directory.
fn collect(directory: &Path, files: &mut Vec<PathBuf>) -> Result<()> {
    ensure!(directory.is_dir(), "{} was not unpacked", directory.display());
    for entry in std::fs::read_dir(directory)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            collect(&entry.path(), files)?;
        } else if entry.path().is_file() {
            files.push(entry.path());
        }
    }
    Ok(())
}
