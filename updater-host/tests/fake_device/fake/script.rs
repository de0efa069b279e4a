//! How a device is, and how it goes wrong.

use std::sync::Arc;
use std::time::Duration;

use trust::provisioning::ProvisioningBlock;
use update_protocol::profile::anchors::{AnchorEntry, DomainEntry, head};
use update_protocol::profile::{DEFAULT_NODE_ADDRESS, Object};
use update_protocol::uds::Nrc;

use crate::fake_table::Table;
use crate::made::{CLASS, DEVICE, IMAGE_SIZE, VENDOR};

/// What a device answers when it is asked for a report, by the nonce.
pub(crate) type Reporting = Arc<dyn Fn(&[u8]) -> Result<Vec<u8>, Nrc> + Send + Sync>;

/// How a device is, and how it goes wrong.
#[derive(Clone)]
pub(crate) struct Script {
    pub(crate) node: u8,
    /// It takes the image for component-slot 1 next.
    pub(crate) second_slot: bool,
    /// Its active image is on trial in the other slot: a programming session reverts it, and the slots change.
    pub(crate) is_on_trial: bool,
    pub(crate) serial: Vec<u8>,
    pub(crate) serial_in_loader: Option<Vec<u8>>,
    pub(crate) identity: Vec<u8>,
    pub(crate) version: Vec<u8>,
    pub(crate) active_sequence: u64,
    pub(crate) manifest_digest: [u8; 32],
    /// Manifest digest of what it runs; zeros: it does not say.
    pub(crate) active_digest: [u8; 32],
    /// What the loader says it has already.
    pub(crate) resume_offset: u32,
    /// An interrupted update has left it in its loader, which says this reason code.
    pub(crate) left_for: Option<u16>,
    /// Stays in its loader, without an image, for this reason code.
    pub(crate) stays_for: Option<u16>,
    /// An earlier update left an image that waits for a reset.
    pub(crate) is_pending: bool,
    /// Instead of the state record.
    pub(crate) raw_state: Option<Vec<u8>>,
    /// Refuses this object with an NRC and a reason code.
    pub(crate) refuses: Option<(Object, Nrc, u16)>,
    /// Delays the image so many times, by so many seconds.
    pub(crate) delays: (u32, u32),
    /// Answers this object so many times as if its session were over.
    pub(crate) loses_session: Option<(Object, u32)>,
    /// An earlier update left an install that can be resumed.
    pub(crate) is_resumable: bool,
    /// Its list has decayed: it refuses every envelope until it gets one of the same number.
    pub(crate) lost_list: bool,
    /// Loses its power so many times as soon as it has opened a programming session.
    pub(crate) loses_power_in_session: u32,
    /// What its loader says of the size of the install.
    pub(crate) image_size: u32,
    /// Hears nothing more after so many image bytes.
    pub(crate) dies_after: Option<usize>,
    /// Sends each answer so much later.
    pub(crate) answer_delay: Duration,
    /// A pause for every block.
    pub(crate) block_pause: Duration,
    /// Resets without having been asked to as soon as it has an image.
    pub(crate) resets_by_itself: bool,
    /// Lets nobody into a programming session.
    pub(crate) refuses_session: Option<Nrc>,
    /// Reason code of an older revert.
    pub(crate) old_reason: u16,
    /// Its report of anchors, as its loader gives it.
    pub(crate) anchors: Option<Vec<u8>>,
    /// The same, once it has taken a succession chain.
    pub(crate) anchors_after: Option<Vec<u8>>,
    /// Its loader keeps the image on trial in a programming session, as one that listens does.
    pub(crate) stays_on_trial: bool,
    /// list-sequence of its state record.
    pub(crate) revocation_sequence: u64,
    /// Does not hear so many resets.
    pub(crate) lost_resets: u32,
    /// How long it goes on before it does what it was asked for.
    pub(crate) reset_pause: Duration,
    /// Hears nothing more once it has told that the new image has confirmed itself.
    pub(crate) dies_confirmed: bool,
    /// Answers every question for an identifier with this.
    pub(crate) refuses_reads: Option<Nrc>,
    /// Sends with the identifier of this node.
    pub(crate) answers_from: Option<u8>,
    /// It is in factory state, with this tag.
    pub(crate) factory_tag: Option<[u8; 8]>,
    /// Once it has its block, it reports these anchors instead of those of the block.
    pub(crate) anchors_of_block: Option<Vec<u8>>,
    /// What the new application calls itself.
    pub(crate) version_after: Vec<u8>,
    /// `None`: its loader has no reports.
    pub(crate) reporting: Option<Reporting>,
    /// What comes of the reset after an install.
    pub(crate) after: After,
    /// Its table, if it has one.
    pub(crate) table: Option<Table>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum After {
    Confirms,
    StaysOnTrial,
    Reverts,
    StaysInLoader,
    /// What waits goes on waiting.
    Waits,
}

impl Script {
    /// A device in factory state.
    pub(crate) fn blank(tag: u8) -> Self {
        Self {
            serial: b"unprovisioned".to_vec(),
            identity: vec![0; 48],
            factory_tag: Some([tag; 8]),
            active_sequence: 0,
            active_digest: [0; 32],
            ..Self::good([0; 32])
        }
    }

    /// Takes what a provisioning block says; its node address counts from the next start on.
    pub(super) fn take(&mut self, block: &[u8]) -> Result<(), Nrc> {
        let block = ProvisioningBlock::parse(block).map_err(|_| Nrc::REQUEST_OUT_OF_RANGE)?;
        let identity = &block.identity;
        self.serial = identity.serial().as_bytes().to_vec();
        self.identity = [identity.vendor, identity.class, identity.device].concat();
        self.node = identity.node_address;
        let anchors = block.anchors.as_slice();
        let mut report = head(u8::try_from(anchors.len()).unwrap()).to_vec();
        for anchor in anchors {
            let (kid, domain) = (anchor.kid().0, anchor.domain().0.0);
            report.extend(AnchorEntry { kid, rights: anchor.rights().bits(), domain }.encode());
        }
        for domain in block.anchors.domains() {
            report.extend(DomainEntry { domain: domain.0.0, ..DomainEntry::default() }.encode());
        }
        self.anchors = self.anchors_of_block.clone().or(Some(report));
        self.factory_tag = None;
        Ok(())
    }

    pub(crate) fn good(manifest_digest: [u8; 32]) -> Self {
        Self {
            node: DEFAULT_NODE_ADDRESS,
            second_slot: false,
            is_on_trial: false,
            serial: b"FAKE-1".to_vec(),
            serial_in_loader: None,
            identity: [VENDOR, CLASS, DEVICE].concat(),
            version: b"4.0.0".to_vec(),
            active_sequence: 4,
            active_digest: [4; 32],
            manifest_digest,
            resume_offset: 0,
            left_for: None,
            stays_for: None,
            is_pending: false,
            raw_state: None,
            refuses: None,
            delays: (0, 0),
            loses_session: None,
            loses_power_in_session: 0,
            image_size: IMAGE_SIZE,
            is_resumable: false,
            lost_list: false,
            dies_after: None,
            answer_delay: Duration::ZERO,
            block_pause: Duration::ZERO,
            resets_by_itself: false,
            refuses_session: None,
            old_reason: 0,
            anchors: None,
            anchors_after: None,
            stays_on_trial: false,
            revocation_sequence: 2,
            lost_resets: 0,
            reset_pause: Duration::ZERO,
            dies_confirmed: false,
            refuses_reads: None,
            answers_from: None,
            factory_tag: None,
            anchors_of_block: None,
            version_after: b"5.0.0".to_vec(),
            reporting: None,
            after: After::Confirms,
            table: None,
        }
    }
}
