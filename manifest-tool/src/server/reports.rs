//! What devices said to a server: the list of their reports, and the bytes of each (docs/server-api.md, Report object).

use indicatif::ProgressBar;
use reqwest::RequestBuilder;
use serde::Deserialize;
use server_client::waited_for;
use trust::host::Serial;

use super::{MAX_ROWS_LEN, REQUEST_TIMEOUT, Reply, Server, object};
use crate::commands::report::MAX_REPORT_FILE_LEN;
use crate::error::Error;

const STEP: &str = "fetching the reports of the device";

/// A report that the server has. What else it says of one is not taken over: the bytes say it themselves.
#[derive(Debug, Deserialize)]
pub(crate) struct StoredReport {
    /// SHA-256 of the bytes, hex, as the server says: no name for a file before bytes have it ([`Server::report`]).
    pub(crate) digest: String,
    /// Seconds since 1970.
    pub(crate) received_at: u64,
    /// Another device, of which it has a report with the same key: no bytes say that.
    pub(crate) key_also_of: Option<String>,
}

#[derive(Debug, Deserialize)]
struct StoredReports {
    reports: Vec<StoredReport>,
}

impl Server {
    /// The reports of a device that the server has, the last received first.
    ///
    /// # Errors
    /// [`Error::ServerRefused`] if it knows no such device; [`Error::ServerAnswer`], [`Error::Http`]
    pub(crate) async fn reports(&self, serial: &Serial) -> Result<Vec<StoredReport>, Error> {
        let url = self.url(&["devices", serial.as_str(), "reports"]);
        let request = self.client.get(url).timeout(REQUEST_TIMEOUT);
        let answer: StoredReports = object(STEP, &self.fetch(request, MAX_ROWS_LEN).await?)?;
        Ok(answer.reports)
    }

    /// The bytes of a report, which have the digest that was asked for: 64 lower-case digits, then.
    ///
    /// # Errors
    /// As those of [`Server::reports`]
    pub(crate) async fn report(&self, serial: &Serial, digest: &str) -> Result<Vec<u8>, Error> {
        let url = self.url(&["devices", serial.as_str(), "reports", digest]);
        let request = self.client.get(url).timeout(REQUEST_TIMEOUT);
        let bytes = self.fetch(request, MAX_REPORT_FILE_LEN).await?.body;
        if hex::encode(trust::sha256(&bytes)) == digest {
            return Ok(bytes);
        }
        let detail = format!("it is not the report {}", trust::host::printable(digest));
        Err(Error::ServerAnswer { step: STEP.to_owned(), detail })
    }

    /// A person hears that the server takes its time.
    async fn fetch(&self, request: RequestBuilder, limit: u64) -> Result<Reply, Error> {
        waited_for(self.exchange(STEP, request, limit), || self.say_waiting(&ProgressBar::hidden())).await
    }
}
