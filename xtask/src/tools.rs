//! Programs that the tasks need and a fresh machine does not have, each installed where that harms nobody:
//! cargo's own below `target/tools`, Debian's by apt when we are root.

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Result, bail};

use crate::process;
use crate::workspace::{self, DEVICE_TARGET, Workspace};

/// A program that cargo installs.
pub(crate) struct CargoTool {
    package: &'static str,
    version: &'static str,
    program: &'static str,
}

/// objcopy of the toolchain's LLVM.
pub(crate) const BINUTILS: CargoTool =
    CargoTool { package: "cargo-binutils", version: "0.4.0", program: "rust-objcopy" };
/// Licences, bans, sources, advisories.
pub(crate) const DENY: CargoTool =
    CargoTool { package: "cargo-deny", version: "0.20.2", program: "cargo-deny" };

/// A program of Debian's and the package it comes in.
pub(crate) struct SystemTool {
    pub(crate) program: &'static str,
    pub(crate) package: &'static str,
    /// With these arguments it succeeds when the package is whole; without any, being there is enough.
    probe: &'static [&'static str],
}

const fn tool(program: &'static str, package: &'static str) -> SystemTool {
    SystemTool { program, package, probe: &[] }
}

pub(crate) const QEMU_ARM: SystemTool = tool("qemu-system-arm", "qemu-system-arm");
pub(crate) const QEMU_X86: SystemTool = tool("qemu-system-x86_64", "qemu-system-x86");
pub(crate) const GXX: SystemTool = tool("g++", "g++");
const GCC: SystemTool = tool("gcc", "gcc");
/// C applications for the board, and headers as they take them.
const GCC_ARM: SystemTool = tool("arm-none-eabi-gcc", "gcc-arm-none-eabi");
pub(crate) const APT: SystemTool = tool("apt-get", "apt");
pub(crate) const DPKG_DEB: SystemTool = tool("dpkg-deb", "dpkg");
/// Modules of kernels after Debian 12.
pub(crate) const XZ: SystemTool = tool("xz", "xz-utils");
pub(crate) const ZSTD: SystemTool = tool("zstd", "zstd");
pub(crate) const NGINX: SystemTool = tool("nginx", "nginx-light");
const STRIP: SystemTool = tool("strip", "binutils");
const GIT: SystemTool = tool("git", "git");
const KILL: SystemTool = tool("kill", "procps");
const SETPRIV: SystemTool = tool("setpriv", "util-linux");
const OPENSSL: SystemTool = tool("openssl", "openssl");
/// A token in software.
const SOFTHSM: SystemTool = tool("softhsm2-util", "softhsm2");
/// Another program's view of a token.
const OPENSC: SystemTool = tool("pkcs11-tool", "opensc");
const SSH_AGENT: SystemTool = tool("ssh-agent", "openssh-client");
/// Kills a program at a system call of our choice.
const STRACE: SystemTool = tool("strace", "strace");
/// The tests against python-can make an environment of their own, and others are made below `target/tools`.
pub(crate) const PYTHON: SystemTool =
    SystemTool { program: "python3", package: "python3-venv", probe: &["-c", "import venv, ensurepip"] };

/// Asks update-server in the drills of docs/custody.
const CURL: SystemTool = tool("curl", "curl");

/// What the steps of `cargo xtask test` call, beyond Rust and the C compiler that it links with.
pub(crate) const TEST_TOOLS: [SystemTool; 18] = [
    QEMU_ARM, QEMU_X86, DPKG_DEB, XZ, STRIP, GIT, KILL, SETPRIV, PYTHON, GXX, GCC, GCC_ARM, OPENSSL, SOFTHSM,
    OPENSC, SSH_AGENT, STRACE, CURL,
];

impl SystemTool {
    fn is_here(&self) -> bool {
        workspace::find_program(self.program).is_some()
            && (self.probe.is_empty() || process::output(Command::new(self.program).args(self.probe)).is_ok())
    }

    /// Fails with the command that installs it unless it is here.
    pub(crate) fn require(&self) -> Result<()> {
        if !self.is_here() {
            let Self { program, package, .. } = self;
            bail!("{program} is not on this machine; install it with: apt-get install {package}");
        }
        Ok(())
    }
}

impl CargoTool {
    /// Installs the tool unless it is here already; returns its path.
    pub(crate) fn provide(&self, workspace: &Workspace) -> Result<PathBuf> {
        let root = workspace.target().join("tools");
        let program = root.join("bin").join(self.program);
        if !program.is_file() {
            if let Some(program) = workspace::find_program(self.program) {
                return Ok(program);
            }
            eprintln!("installing {} {} into {}", self.package, self.version, root.display());
            let mut command = workspace.cargo();
            command.args(["install", "--quiet", "--locked", "--debug", self.package]);
            command.args(["--version", self.version, "--root"]).arg(&root);
            // The tool's own build must not follow the workspace's target directory or flags.
            command.env("CARGO_TARGET_DIR", root.join("build")).env("CARGO_PROFILE_DEV_DEBUG", "false");
            process::check(&mut command)?;
            std::fs::remove_dir_all(root.join("build"))?;
        }
        Ok(program)
    }
}

/// Installs what is missing by apt when we are root; else says the command.
pub(crate) fn provide_system_tools(tools: &[SystemTool]) -> Result<()> {
    let missing: Vec<&str> = tools.iter().filter(|tool| !tool.is_here()).map(|tool| tool.package).collect();
    if missing.is_empty() {
        return Ok(());
    }
    let install = format!("apt-get install --yes --no-install-recommends {}", missing.join(" "));
    if !is_root()? || workspace::find_program("apt-get").is_none() {
        bail!("missing on this machine: {}\ninstall with: sudo {install}", missing.join(", "));
    }
    eprintln!("installing {}", missing.join(", "));
    process::check(Command::new("apt-get").args(["update", "--quiet=2"]))?;
    let mut words = install.split(' ');
    let mut command = Command::new(words.next().unwrap_or_default());
    command.args(words).arg("--quiet=2").env("DEBIAN_FRONTEND", "noninteractive");
    process::check(&mut command)
}

fn is_root() -> Result<bool> {
    Ok(String::from_utf8(process::output(Command::new("id").arg("-u"))?)?.trim() == "0")
}

/// Brings what `rust-toolchain.toml` asks for and this machine lacks: targets and components. rustup does that
/// by itself when cargo starts, unless automatic installation is switched off on the machine.
pub(crate) fn provide_toolchain(workspace: &Workspace) -> Result<()> {
    if has_target(workspace, DEVICE_TARGET)? && has_llvm_tools(workspace)? {
        return Ok(());
    }
    let mut rustup = rustup(workspace)?;
    // Without arguments: the toolchain of this directory, as its file describes it.
    rustup.args(["toolchain", "install", "--no-self-update"]);
    process::check(&mut rustup)
}

/// Adds a target to the pinned toolchain unless it has it.
pub(crate) fn provide_rust_target(workspace: &Workspace, target: &str) -> Result<()> {
    if has_target(workspace, target)? {
        return Ok(());
    }
    process::check(rustup(workspace)?.args(["target", "add", target]))
}

fn has_target(workspace: &Workspace, target: &str) -> Result<bool> {
    Ok(rustc_path(workspace, &["--print", "target-libdir", "--target", target])?.is_dir())
}

/// The component llvm-tools lies beside the host's libraries.
fn has_llvm_tools(workspace: &Workspace) -> Result<bool> {
    let libraries = rustc_path(workspace, &["--print", "target-libdir"])?;
    Ok(libraries.with_file_name("bin").join("llvm-objcopy").is_file())
}

fn rustc_path(workspace: &Workspace, arguments: &[&str]) -> Result<PathBuf> {
    let mut rustc = Command::new(std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into()));
    rustc.current_dir(workspace.root()).args(arguments);
    Ok(PathBuf::from(String::from_utf8(process::output(&mut rustc)?)?.trim()))
}

/// rustup, told to go by the workspace's file and not by the toolchain that happens to run us.
fn rustup(workspace: &Workspace) -> Result<Command> {
    if workspace::find_program("rustup").is_none() {
        bail!("the toolchain lacks a component of rust-toolchain.toml, and rustup is not installed");
    }
    let mut rustup = Command::new("rustup");
    rustup.current_dir(workspace.root()).env_remove("RUSTUP_TOOLCHAIN");
    Ok(rustup)
}
