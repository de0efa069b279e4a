//! The sequence numbers that a server has: firmware and tables have a series each, and a release of both is in both.

use super::answers::{Releases, check};
use super::{REQUEST_TIMEOUT, Server, object};
use crate::describe::{BOTH, ManifestView};
use crate::error::Error;

/// The target that goes without saying, also to servers that know of no other.
const FIRMWARE: &str = "firmware";
/// A server from before a target refuses a question about it.
const NO_QUESTION: &str = "request-malformed";

impl Server {
    /// The highest sequence number of each series in which this release is, of its vendor and class. Those that are not
    /// offered count: a withdrawn release keeps its number.
    pub(crate) async fn newest_sequences(&self, manifest: &ManifestView) -> Result<Vec<u64>, Error> {
        let own = manifest.installs;
        let mut alone = Vec::new();
        for target in manifest.targets() {
            alone.push(self.newest_of(target.name(), own, manifest).await?);
        }
        let of_both = self.newest_of(BOTH, own, manifest).await?;
        Ok(alone.into_iter().filter_map(|newest| newest.max(of_both)).collect())
    }

    /// The highest of what installs `target`. A server that does not know it has none; that of the release it has to know.
    async fn newest_of(
        &self,
        target: &str,
        own: &str,
        manifest: &ManifestView,
    ) -> Result<Option<u64>, Error> {
        let step = "asking for the newest release";
        let mut url = self.url(&["releases"]);
        url.query_pairs_mut()
            .append_pair("vendor", &manifest.vendor)
            .append_pair("class", &manifest.class)
            .append_pair("all", "true")
            .append_pair("limit", "1");
        if target != FIRMWARE {
            url.query_pairs_mut().append_pair("target", target);
        }
        let answer = match self.send(step, self.client.get(url).timeout(REQUEST_TIMEOUT)).await {
            Err(error) if target != own && error.code() == NO_QUESTION => return Ok(None),
            answer => answer?,
        };
        let meant = (&*manifest.vendor, &*manifest.class, target);
        let releases: Releases = check(step, object(step, &answer)?, &meant)?;
        Ok(releases.releases.iter().map(|release| release.sequence).max())
    }
}
