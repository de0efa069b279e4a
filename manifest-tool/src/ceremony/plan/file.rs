//! The tables of a plan, as they stand in the file. A member that is not here is refused: it would mean something to its
//! writer, and nothing in the room.

use serde::Deserialize;

#[derive(Deserialize, Debug)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct PlanFile {
    pub(super) format: u32,
    pub(super) purpose: String,
    pub(super) vendor: String,
    #[serde(default)]
    pub(super) classes: Vec<String>,
    #[serde(default)]
    pub(super) person: Vec<PersonTable>,
    pub(super) root: RootTable,
    pub(super) recovery_root: Option<RootTable>,
    #[serde(default)]
    pub(super) key: Vec<KeyTable>,
    #[serde(default)]
    pub(super) first_list: bool,
    #[serde(default)]
    pub(super) bundle_copies: Vec<String>,
}

#[derive(Deserialize, Debug)]
#[serde(deny_unknown_fields)]
pub(super) struct PersonTable {
    pub(super) name: String,
    pub(super) roles: Vec<String>,
}

#[derive(Deserialize, Debug)]
#[serde(deny_unknown_fields)]
pub(super) struct RootTable {
    pub(super) name: String,
    pub(super) holder: String,
    pub(super) kept: String,
    pub(super) make: Option<String>,
    pub(super) key: Option<String>,
    pub(super) fingerprint: Option<String>,
    pub(super) ledger: Option<String>,
    #[serde(default)]
    pub(super) copies: Vec<String>,
    pub(super) shares: Option<SharesTable>,
}

#[derive(Deserialize, Debug)]
#[serde(deny_unknown_fields)]
pub(super) struct SharesTable {
    pub(super) threshold: u8,
    pub(super) holders: Vec<String>,
    pub(super) kept: String,
    pub(super) folder: String,
}

#[derive(Deserialize, Debug)]
#[serde(deny_unknown_fields)]
pub(super) struct KeyTable {
    pub(super) name: String,
    pub(super) role: String,
    pub(super) holder: String,
    pub(super) kept: String,
    pub(super) make: Option<String>,
    pub(super) public: Option<String>,
    pub(super) fingerprint: Option<String>,
    #[serde(default)]
    pub(super) classes: Vec<String>,
    pub(super) expires: Option<String>,
}
