//! URIs of keys in tokens (RFC 7512), and the percent-encoding (RFC 3986 section 2.1) that the other locations share.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt as _;
use std::path::PathBuf;

use super::location::LocationFault;

/// `NAME=VALUE`, the value percent-encoded.
pub(super) struct Attribute<'t> {
    pub(super) name: &'t str,
    pub(super) value: &'t str,
}

impl Attribute<'_> {
    fn bytes(&self) -> Result<Vec<u8>, LocationFault> {
        let wrong = || LocationFault::Encoding(self.name.to_owned());
        let mut bytes = Vec::with_capacity(self.value.len());
        let mut rest = self.value.as_bytes();
        loop {
            rest = match rest {
                [] => return Ok(bytes),
                [b'%', high, low, after @ ..] => {
                    let mut byte = [0];
                    hex::decode_to_slice([*high, *low], &mut byte).map_err(|_| wrong())?;
                    bytes.extend(byte);
                    after
                }
                [b'%', ..] => return Err(wrong()),
                [byte, after @ ..] => {
                    bytes.push(*byte);
                    after
                }
            };
        }
    }

    pub(super) fn text(&self) -> Result<String, LocationFault> {
        let text = String::from_utf8(self.bytes()?);
        text.ok()
            .filter(|text| !text.contains('\0'))
            .ok_or_else(|| LocationFault::Encoding(self.name.to_owned()))
    }

    pub(super) fn path(&self) -> Result<PathBuf, LocationFault> {
        Ok(PathBuf::from(OsString::from_vec(self.bytes()?)))
    }
}

/// What lies before and after the first `?`.
pub(super) fn split_query(text: &str) -> (&str, &str) {
    text.split_once('?').unwrap_or((text, ""))
}

/// The attributes of a list; an empty one has none.
pub(super) fn attributes(
    list: &str,
    separator: char,
) -> impl Iterator<Item = Result<Attribute<'_>, LocationFault>> {
    list.split(separator).filter(|attribute| !attribute.is_empty()).map(|attribute| {
        let (name, value) =
            attribute.split_once('=').ok_or_else(|| LocationFault::NotAnAttribute(attribute.to_owned()))?;
        Ok(Attribute { name, value })
    })
}

/// Keeps a value of an attribute that may be given once.
pub(super) fn once<T>(
    kept: &mut Option<T>,
    attribute: &Attribute<'_>,
    value: T,
) -> Result<(), LocationFault> {
    match kept.replace(value) {
        None => Ok(()),
        Some(_) => Err(LocationFault::Twice(attribute.name.to_owned())),
    }
}

/// A key in a token: what is given has to match.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct TokenUri {
    pub token: Option<String>,
    pub manufacturer: Option<String>,
    pub model: Option<String>,
    pub serial: Option<String>,
    pub slot: Option<u64>,
    /// Label of the key pair.
    pub object: Option<String>,
    /// CKA_ID of the key pair.
    pub id: Option<Vec<u8>>,
    /// Path of the module, a shared library.
    pub module_path: Option<PathBuf>,
    /// Name of the module: that of the library without `lib` and `.so`.
    pub module_name: Option<String>,
    /// File whose first line is the PIN.
    pub pin_source: Option<PathBuf>,
}

impl TokenUri {
    /// Reads what follows `pkcs11:`.
    pub(super) fn parse(rest: &str) -> Result<Self, LocationFault> {
        // Wherever it stands, so that no other message repeats its value.
        if rest.to_ascii_lowercase().contains("pin-value") {
            return Err(LocationFault::PinValue);
        }
        let (path, query) = split_query(rest);
        let mut uri = Self::default();
        let mut class = None;
        for attribute in attributes(path, ';') {
            let attribute = attribute?;
            match attribute.name {
                "token" => once(&mut uri.token, &attribute, attribute.text()?)?,
                "manufacturer" => once(&mut uri.manufacturer, &attribute, attribute.text()?)?,
                "model" => once(&mut uri.model, &attribute, attribute.text()?)?,
                "serial" => once(&mut uri.serial, &attribute, attribute.text()?)?,
                "object" => once(&mut uri.object, &attribute, attribute.text()?)?,
                "id" => once(&mut uri.id, &attribute, attribute.bytes()?)?,
                "slot-id" => {
                    let text = attribute.text()?;
                    let slot =
                        text.parse().map_err(|_| LocationFault::Value { name: "slot-id", value: text });
                    once(&mut uri.slot, &attribute, slot?)?;
                }
                // The pair is meant, whichever half is named.
                "type" => match attribute.value {
                    "private" | "public" => once(&mut class, &attribute, ())?,
                    other => return Err(LocationFault::Value { name: "type", value: other.to_owned() }),
                },
                other => return Err(LocationFault::Unknown(other.to_owned())),
            }
        }
        for attribute in attributes(query, '&') {
            let attribute = attribute?;
            match attribute.name {
                "module-path" => once(&mut uri.module_path, &attribute, attribute.path()?)?,
                "module-name" => {
                    let name = attribute.text()?;
                    if name.is_empty() || name.contains('/') {
                        return Err(LocationFault::Value { name: "module-name", value: name });
                    }
                    once(&mut uri.module_name, &attribute, name)?;
                }
                "pin-source" => once(&mut uri.pin_source, &attribute, pin_source(&attribute)?)?,
                other => return Err(LocationFault::Unknown(other.to_owned())),
            }
        }
        Ok(uri)
    }
}

/// A file, as `file:PATH` or as an absolute path. RFC 7512 also permits a program, which we do not run.
fn pin_source(attribute: &Attribute<'_>) -> Result<PathBuf, LocationFault> {
    let source = attribute.text()?;
    let path = source.strip_prefix("file:").unwrap_or(&source);
    if path.is_empty() || (path.len() == source.len() && !path.starts_with('/')) {
        return Err(LocationFault::PinSource);
    }
    Ok(PathBuf::from(path))
}
