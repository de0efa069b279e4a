//! The ELF of the loader: its functions, and the source lines of its instructions.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use object::{Object as _, ObjectSymbol as _, SymbolKind};

/// A function of the loader.
#[derive(Clone, Debug)]
struct Function {
    start: u32,
    len: u32,
    name: String,
}

/// The loader.
pub(crate) struct Loader {
    path: PathBuf,
    /// By address.
    functions: Vec<Function>,
    lines: Option<Lines>,
}

/// The same functions with line tables.
struct Lines {
    functions: HashMap<(String, u32), u32>,
    table: addr2line::Loader,
}

impl Loader {
    /// Reads the ELF and the one with line tables.
    pub(crate) fn read(path: &Path, lines: Option<&Path>) -> Result<Self> {
        let functions = functions(path)?;
        let lines = lines.map(Lines::read).transpose()?;
        Ok(Self { path: path.to_owned(), functions, lines })
    }

    /// The ELF.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    fn function_at(&self, address: u32) -> Option<&Function> {
        let index = self.functions.partition_point(|function| function.start <= address).checked_sub(1)?;
        self.functions.get(index).filter(|function| address < function.start + function.len)
    }

    /// The name of the function at an address; empty without one.
    pub(crate) fn name_at(&self, address: u32) -> &str {
        self.function_at(address).map_or("", |function| &function.name)
    }

    /// Whether a function begins at an address.
    pub(crate) fn begins_a_function(&self, address: u32) -> bool {
        self.function_at(address).is_some_and(|function| function.start == address)
    }

    /// Function, offset and source line of an instruction.
    pub(crate) fn describe(&self, address: u32) -> String {
        let Some(function) = self.function_at(address) else { return format!("{address:#x}") };
        let offset = address - function.start;
        let mut text = format!("{}+{offset:#x}", function.name);
        if let Some(lines) = &self.lines {
            text.extend(lines.at(function, offset).map(|line| format!(" ({line})")));
        }
        text
    }

    /// Address of a function by the end of its name.
    pub(crate) fn find(&self, name: &str) -> Result<u32> {
        let found = self.functions.iter().find(|function| function.name.ends_with(name));
        found.map(|function| function.start).with_context(|| format!("the loader has no function {name}"))
    }
}

impl Lines {
    fn read(path: &Path) -> Result<Self> {
        let functions = functions(path)?.into_iter();
        let functions = functions.map(|function| ((function.name, function.len), function.start)).collect();
        let table = addr2line::Loader::new(path);
        let table = table.map_err(|error| anyhow::anyhow!("{}: {error}", path.display()))?;
        Ok(Self { functions, table })
    }

    /// The lines of the frames at an offset of a function, the innermost first.
    fn at(&self, function: &Function, offset: u32) -> Option<String> {
        let start = self.functions.get(&(function.name.clone(), function.len))?;
        let mut frames = self.table.find_frames(u64::from(start + offset)).ok()?;
        let mut texts = Vec::new();
        while let Ok(Some(frame)) = frames.next() {
            let Some(location) = frame.location else { continue };
            let file = location.file.unwrap_or_default();
            let file = file.rsplit_once("/src/").map_or(file, |(head, tail)| {
                let head = head.rsplit('/').next().unwrap_or_default();
                file.split_at(file.len() - tail.len() - "/src/".len() - head.len()).1
            });
            texts.push(format!("{file}:{}", location.line.unwrap_or_default()));
        }
        (!texts.is_empty()).then(|| texts.join(" < "))
    }
}

fn functions(path: &Path) -> Result<Vec<Function>> {
    let bytes = std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
    let file = object::File::parse(&*bytes).with_context(|| format!("{} is not an ELF", path.display()))?;
    let symbols = file.symbols().filter(|symbol| symbol.kind() == SymbolKind::Text && symbol.size() > 0);
    let mut functions = symbols
        .map(|symbol| {
            Ok(Function {
                // Bit 0 says that it is Thumb code.
                start: u32::try_from(symbol.address() & !1)?,
                len: u32::try_from(symbol.size())?,
                name: format!("{:#}", rustc_demangle::demangle(symbol.name()?)),
            })
        })
        .collect::<Result<Vec<_>>>()?;
    functions.sort_by_key(|function| function.start);
    Ok(functions)
}
