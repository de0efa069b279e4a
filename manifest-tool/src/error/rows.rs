//! The rows of a list that a server refuses (docs/server-api.md).

use serde::{Deserialize, Serialize};
use trust::host::printable_cut;

/// Longest text of a server that is shown, characters.
const MAX_WORDS_LEN: usize = 300;

/// A row of a list that a server refuses.
#[derive(Clone, PartialEq, Eq, Debug, Deserialize, Serialize)]
pub struct RefusedRow {
    serial: String,
    code: String,
    detail: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    hint: Option<String>,
}

impl RefusedRow {
    /// In words of the server, made harmless.
    pub(crate) fn shown(self) -> Self {
        let shown = |text: String| printable_cut(text.trim(), MAX_WORDS_LEN);
        Self {
            serial: shown(self.serial),
            code: shown(self.code),
            detail: shown(self.detail),
            hint: self.hint.map(shown),
        }
    }
}

impl std::fmt::Display for RefusedRow {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {} [{}]", self.serial, self.detail, self.code)?;
        self.hint.as_ref().map_or(Ok(()), |hint| write!(f, " {hint}"))
    }
}

/// The refused rows of the problem `rows-refused`, or of an answer.
#[derive(Deserialize)]
struct RefusedRows {
    rows: Vec<RefusedRow>,
}

/// The rows that a refusal lists; none in any other refusal.
pub(crate) fn refused_rows(body: &[u8]) -> Vec<RefusedRow> {
    let rows = serde_json::from_slice::<RefusedRows>(body).map(|refused| refused.rows).unwrap_or_default();
    rows.into_iter().map(RefusedRow::shown).collect()
}
