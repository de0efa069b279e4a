//! The module of a token: a shared library that the URI or the environment names, and the slot that matches.

use std::path::{Path, PathBuf};

use cryptoki::context::{CInitializeArgs, CInitializeFlags, Pkcs11};
use cryptoki::error::{Error as ModuleError, RvError};
use cryptoki::slot::{Slot, TokenInfo};
use trust::host::printable_cut;

use super::fault::{MODULE_VARIABLE, TokenFault};
use crate::keys::uri::TokenUri;

/// Where distributions put modules: p11-kit's folder, then the makers' own.
const FOLDERS: [&str; 10] = [
    "/usr/lib/x86_64-linux-gnu/pkcs11",
    "/usr/lib/aarch64-linux-gnu/pkcs11",
    "/usr/lib64/pkcs11",
    "/usr/lib/pkcs11",
    "/usr/lib/softhsm",
    "/usr/lib/x86_64-linux-gnu",
    "/usr/lib/aarch64-linux-gnu",
    "/usr/lib64",
    "/usr/lib",
    "/usr/local/lib",
];
/// Tokens that a message lists.
const MAX_LISTED: usize = 8;

/// Loads the module and initialises it.
pub(super) fn load(uri: &TokenUri) -> Result<Pkcs11, TokenFault> {
    let path = path(uri)?;
    let unusable = |error: ModuleError| TokenFault::Module { path: path.clone(), cause: cause(&error) };
    let module = Pkcs11::new(&path).map_err(unusable)?;
    match module.initialize(CInitializeArgs::new(CInitializeFlags::OS_LOCKING_OK)) {
        // Another key of this command lies in the same module.
        Ok(()) | Err(ModuleError::Pkcs11(RvError::CryptokiAlreadyInitialized, _)) => Ok(module),
        Err(error) => Err(unusable(error)),
    }
}

fn cause(error: &ModuleError) -> String {
    match error {
        ModuleError::Pkcs11(value, function) => format!("{function} returned {value:?}"),
        ModuleError::LibraryLoading(error) => error.to_string(),
        ModuleError::MissingSymbol(name) => format!("it has no {name}, so it is no PKCS#11 module"),
        other => other.to_string(),
    }
}

fn path(uri: &TokenUri) -> Result<PathBuf, TokenFault> {
    if let Some(path) = &uri.module_path {
        return Ok(path.clone());
    }
    if let Some(name) = &uri.module_name {
        let found = FOLDERS.iter().flat_map(|folder| {
            [format!("lib{name}.so"), format!("{name}.so")].map(|file| Path::new(folder).join(file))
        });
        return found
            .into_iter()
            .find(|path| path.is_file())
            .ok_or_else(|| TokenFault::ModuleNotFound(name.clone()));
    }
    let variable = std::env::var_os(MODULE_VARIABLE).filter(|path| !path.is_empty());
    variable.map(PathBuf::from).ok_or(TokenFault::NoModule)
}

/// The only token that matches.
pub(super) fn slot(module: &Pkcs11, uri: &TokenUri) -> Result<(Slot, TokenInfo), TokenFault> {
    let (mut found, mut present) = (Vec::new(), Vec::new());
    for slot in module.get_slots_with_token().map_err(TokenFault::of)? {
        let token = match module.get_token_info(slot) {
            Ok(token) => token,
            // Pulled out after the list was made.
            Err(ModuleError::Pkcs11(RvError::TokenNotPresent | RvError::DeviceRemoved, _)) => continue,
            Err(error) => return Err(TokenFault::of(error)),
        };
        if token.token_initialized() {
            present.push(name(&token));
            if matches(uri, slot, &token) {
                found.push((slot, token));
            }
        }
    }
    if found.len() > 1 {
        let names: Vec<String> = found.iter().map(|(_, token)| name(token)).collect();
        return Err(TokenFault::TokensSeveral(list(&names)));
    }
    found.pop().ok_or_else(|| TokenFault::TokenAbsent(list(&present)))
}

fn matches(uri: &TokenUri, slot: Slot, token: &TokenInfo) -> bool {
    let same = |wanted: &Option<String>, is: &str| wanted.as_ref().is_none_or(|wanted| wanted == is);
    same(&uri.token, token.label())
        && same(&uri.manufacturer, token.manufacturer_id())
        && same(&uri.model, token.model())
        && same(&uri.serial, token.serial_number())
        && uri.slot.is_none_or(|wanted| wanted == slot.id())
}

fn name(token: &TokenInfo) -> String {
    let text = |text| printable_cut(text, 32);
    format!("{:?} (serial {})", text(token.label()), text(token.serial_number()))
}

/// Names, for a message.
pub(super) fn list(names: &[String]) -> String {
    match names {
        [] => "none".to_owned(),
        few if few.len() <= MAX_LISTED => few.join(", "),
        many => format!("{} and others", many.get(..MAX_LISTED).unwrap_or_default().join(", ")),
    }
}
