//! The programs of boards, built by cargo and linked by `device-linker`.

use std::fs::File;
use std::hash::{Hash as _, Hasher as _};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use qemu_mps2_layout::{AN386, Machine};

/// The target of the chips that have models: Cortex-M4F.
const CHIPS: &str = "thumbv7em-none-eabihf";
/// The package that links device programs.
const LINKER: &str = "device-linker";
/// Makes rustc leave the final bitcode, which the linker compiles once more.
pub(crate) const FINAL_BITCODE: &str = "-Csave-temps";

/// The behaviour of a demo application after its start.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Behaviour {
    /// Confirms itself after its self-test.
    Confirms,
    /// Serves the bus and never confirms itself.
    NeverConfirms,
    /// Neither serves the bus nor feeds the watchdog.
    Hangs,
    /// Confirms itself and resets the device at once, at every start.
    Crashes,
    /// Confirms itself and hangs at once, at every start.
    Stalls,
}

/// A demo application to build.
#[derive(Clone, Debug)]
pub struct Application {
    /// The version that it reports, at most 32 ASCII characters.
    pub version: String,
    /// Its behaviour.
    pub behaviour: Behaviour,
    /// Bytes of table that make the image as large as a real one; the board's default if `None`.
    pub ballast_len: Option<u32>,
}

/// The workspace.
pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// A program of a board, as cargo builds it.
#[derive(Clone, Copy, Debug)]
pub struct Program<'p> {
    /// Its package, which has one binary of that name.
    pub package: &'p str,
    /// Target of rustc.
    pub target: &'p str,
    /// Features of the package, with commas between them.
    pub features: &'p str,
    /// Variables that are set for cargo: what is compiled in.
    pub variables: &'p [(&'p str, String)],
}

/// Builds the device programs into one target directory.
#[derive(Clone, Debug)]
pub struct Programs {
    root: PathBuf,
    pub(crate) target_dir: PathBuf,
    machine: Machine,
    /// Images run where they lie.
    in_place: bool,
    loader: Loader,
}

/// Which loader.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Loader {
    /// Releases are signed, and images come as they are.
    Asymmetric,
    /// Releases are signed, and images may come encrypted.
    Hybrid,
    /// Releases are authenticated with a key of the device, and images come as they are.
    OwnKey,
    /// Releases are authenticated with a key of the device, and images may come encrypted: nothing of it is public.
    Symmetric,
    /// The same with a table beside the firmware.
    Tabled,
}

impl Loader {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Asymmetric, Self::Hybrid, Self::OwnKey, Self::Symmetric, Self::Tabled];

    /// Its name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Asymmetric => "asymmetric",
            Self::Hybrid => "hybrid",
            Self::OwnKey => "own-key",
            Self::Symmetric => "symmetric",
            Self::Tabled => "tabled",
        }
    }

    /// Its features, behind that of the machine.
    #[must_use]
    pub const fn features(self) -> &'static str {
        match self {
            Self::Asymmetric => "provisioned-anchor",
            Self::Hybrid => "provisioned-anchor,decrypting",
            Self::OwnKey => "provisioned-anchor,own-key",
            Self::Symmetric => "provisioned-anchor,decrypting,own-key",
            Self::Tabled => "provisioned-anchor,decrypting,own-key,table,one-file",
        }
    }
}

impl Programs {
    /// For the Cortex-M4F. `target_dir` is cargo's; finished programs are left in its `boards` folder.
    pub fn new(target_dir: impl Into<PathBuf>) -> Result<Self> {
        let target_dir = target_dir.into();
        std::fs::create_dir_all(target_dir.join("boards"))?;
        Ok(Self { root: root(), target_dir, machine: AN386, in_place: false, loader: Loader::Asymmetric })
    }

    /// The same of another workspace than this one.
    #[must_use]
    pub fn of(self, workspace: impl Into<PathBuf>) -> Self {
        Self { root: workspace.into(), ..self }
    }

    /// The same for another machine.
    #[must_use]
    pub fn on(self, machine: Machine) -> Self {
        Self { machine, ..self }
    }

    /// The same with images that run in place, from either slot.
    #[must_use]
    pub fn in_place(self) -> Self {
        Self { in_place: true, ..self }
    }

    /// The same with this loader.
    #[must_use]
    pub fn with(self, loader: Loader) -> Self {
        Self { loader, ..self }
    }

    /// What they run on.
    #[must_use]
    pub const fn machine(&self) -> Machine {
        self.machine
    }

    /// The loader, an ELF. Its anchor comes with the provisioning block.
    pub fn loader(&self) -> Result<PathBuf> {
        let name = match self.loader {
            Loader::Asymmetric => "loader.elf".to_owned(),
            Loader::Hybrid | Loader::OwnKey | Loader::Symmetric | Loader::Tabled => {
                format!("loader-{}.elf", self.loader.name())
            }
        };
        self.build("qemu-mps2", &name, self.loader.features(), &[])
    }

    /// An application, an ELF.
    pub fn application(&self, application: &Application) -> Result<PathBuf> {
        self.application_for(0, application)
    }

    /// An application that is linked for this slot, an ELF; other slots than 0 are for programs that run in place.
    pub fn application_for(&self, slot: u8, application: &Application) -> Result<PathBuf> {
        let Application { version, behaviour, ballast_len } = application;
        let confirm = match behaviour {
            Behaviour::Confirms => "self",
            Behaviour::NeverConfirms => "never",
            Behaviour::Hangs => "hang",
            Behaviour::Crashes => "crash",
            Behaviour::Stalls => "stall",
        };
        let mut variables = vec![("APP_VERSION", version.clone()), ("APP_CONFIRM", confirm.to_owned())];
        let mut name = format!("app-{version}-{confirm}");
        if let Some(len) = ballast_len {
            variables.push(("APP_BALLAST", len.to_string()));
            name = format!("{name}-{len}");
        }
        if slot != 0 {
            variables.push(("APP_SLOT", slot.to_string()));
            name = format!("{name}-slot-{slot}");
        }
        // It confirms the table as well.
        let (features, prefix) = if self.loader == Loader::Tabled { ("table", "tabled-") } else { ("", "") };
        self.build("qemu-mps2-app", &format!("{prefix}{name}.elf"), features, &variables)
    }

    /// Every variant of a program has the same path in the target directory: one at a time.
    pub(crate) fn lock(&self) -> Result<File> {
        let lock = File::create(self.target_dir.join("boards/lock"))?;
        lock.lock()?;
        Ok(lock)
    }

    /// cargo in the root of the workspace, into the target directory.
    pub(crate) fn cargo(
        &self,
        subcommand: &str,
        arguments: &[&str],
        variables: &[(&str, String)],
    ) -> Result<()> {
        let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
        cargo
            .args([subcommand, "--quiet", "--target-dir"])
            .arg(&self.target_dir)
            .args(arguments)
            .current_dir(&self.root)
            // Programs go where they are looked for.
            .env_remove("CARGO_BUILD_TARGET")
            .env_remove("APP_BALLAST")
            .env_remove("APP_CONFIRM")
            .env_remove("APP_SLOT")
            .envs(variables.iter().map(|(name, value)| (name, value)));
        let status = cargo.status().context("cannot run cargo")?;
        ensure!(status.success(), "{cargo:?} failed: {status}");
        Ok(())
    }

    /// Builds one program of a board, an ELF.
    pub fn program(&self, program: &Program<'_>) -> Result<PathBuf> {
        let Program { package, features, .. } = program;
        self.place(program, &format!("{package}-{}.elf", features.replace(',', "-")))
    }

    /// The same under this name.
    fn place(&self, program: &Program<'_>, name: &str) -> Result<PathBuf> {
        let _lock = self.lock()?;
        let built = self.link(program)?;
        let placed = self.target_dir.join("boards").join(program.target).join(name);
        place(&built, &placed)?;
        Ok(placed)
    }

    /// The same, where cargo leaves it: the next build of the package overwrites it, so it needs the [lock](Self::lock).
    fn link(&self, program: &Program<'_>) -> Result<PathBuf> {
        let &Program { package, target, features, variables } = program;
        let linker = self.linker()?;
        let linker = format!("-Clinker={}", linker.display());
        let selection = ["--package", package, "--bin", package, "--features", features, "--target", target];
        let arguments = [&["--profile", "device"], &selection[..], &["--", FINAL_BITCODE, &linker]];
        self.cargo("rustc", &arguments.concat(), variables)?;
        let built = self.target_dir.join(target).join("device").join(package);
        ensure!(built.is_file(), "cargo did not build {}", built.display());
        Ok(built)
    }

    /// The linker of device programs, under a name of its content: cargo links again if another one is named.
    fn linker(&self) -> Result<PathBuf> {
        self.cargo("build", &["--package", LINKER], &[])?;
        let built = self.target_dir.join("debug").join(LINKER);
        let bytes = std::fs::read(&built).with_context(|| format!("no program at {}", built.display()))?;
        let mut hasher = std::hash::DefaultHasher::new();
        bytes.hash(&mut hasher);
        let named = self.target_dir.join("boards").join(format!("{LINKER}-{:016x}", hasher.finish()));
        if !named.is_file() {
            place(&built, &named)?;
        }
        Ok(named)
    }

    /// The loader of a board for a chip, an ELF. Its anchor comes with the provisioning block.
    pub fn chip_loader(&self, board: &str) -> Result<PathBuf> {
        let features = "provisioned-anchor";
        let program = Program { package: board, target: CHIPS, features, variables: &[] };
        self.place(&program, &format!("{board}.elf"))
    }

    /// The same with further features of its package.
    pub fn chip_loader_with(&self, board: &str, features: &str) -> Result<PathBuf> {
        let all = format!("provisioned-anchor,{features}");
        let program = Program { package: board, target: CHIPS, features: &all, variables: &[] };
        self.place(&program, &format!("{board}-{features}.elf"))
    }

    /// An application for a chip, an ELF: that of the package `{board}-app`, which reports this version.
    pub fn chip_application(&self, board: &str, version: &str, confirms: bool) -> Result<PathBuf> {
        self.chip_application_with(board, version, confirms, "")
    }

    /// The same with features of its package.
    pub fn chip_application_with(
        &self,
        board: &str,
        version: &str,
        confirms: bool,
        features: &str,
    ) -> Result<PathBuf> {
        let mut variables = vec![("APP_VERSION", version.to_owned())];
        let mut name = format!("{board}-app-{version}");
        if !features.is_empty() {
            name = format!("{name}-{features}");
        }
        if !confirms {
            variables.push(("APP_CONFIRM", "never".to_owned()));
            name.push_str("-never");
        }
        let package = format!("{board}-app");
        let program = Program { package: &package, target: CHIPS, features, variables: &variables };
        self.place(&program, &format!("{name}.elf"))
    }

    fn build(
        &self,
        package: &str,
        name: &str,
        features: &str,
        variables: &[(&str, String)],
    ) -> Result<PathBuf> {
        let Machine { name: machine, target, .. } = self.machine;
        let (strategy, prefix) = if self.in_place { ("in-place", "in-place-") } else { ("", "") };
        let features = format!("{machine},{features},{strategy}");
        let program = Program { package, target, features: &features, variables };
        self.place(&program, &format!("{machine}-{prefix}{name}"))
    }
}

/// Copies a file, and makes its folder.
pub(crate) fn place(from: &Path, to: &Path) -> Result<()> {
    let folder = to.parent().context("a file is in a folder")?;
    std::fs::create_dir_all(folder).with_context(|| format!("cannot create {}", folder.display()))?;
    // Readers take no lock: the rename makes it appear as a whole.
    let unfinished = to.with_extension(format!("unfinished-{}", std::process::id()));
    std::fs::copy(from, &unfinished).with_context(|| format!("cannot write {}", unfinished.display()))?;
    std::fs::rename(&unfinished, to).with_context(|| format!("cannot write {}", to.display()))
}
