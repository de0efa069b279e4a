//! `revocations`: gives one device a revocation list, and the successions that it lacks before it.
//!
//! There are no anchors here: the device decides. Successions that were fetched earlier count, so that nothing goes out that
//! a root signed which was succeeded.

use suit_manifest::reason::Reason;
use trust::host::read_unverified_revocation;
use trust::{
    Domain, Kid, SuccessionNumber, encode_succession_chain, read_succession_file, read_unverified_succession,
};
use update_protocol::profile::{ImageState, MAX_SUCCESSION_CHAIN_LEN, Object};

use super::{Done, back_with_a_result, changed_sequence, enter, give, reach, reset, trust};
#[cfg(feature = "http")]
use crate::cache::Cache;
use crate::cli::{Cli, Revocations};
use crate::connection::Connection;
use crate::device::{Device, DeviceTrust};
use crate::error::{Error, RootFault, Subject};
use crate::files;
use crate::install::takes_chains;
use crate::interrupt::Interrupt;
use crate::output::Output;
use crate::scan::READING;
use crate::session::Session;
use crate::trusted::{Successions, read_successions, refused};

/// A revocation list, with its source.
struct List {
    source: String,
    issuer: Kid,
    bytes: Vec<u8>,
}

impl List {
    fn subject(&self) -> Subject {
        Subject::RevocationList(self.source.clone())
    }
}

/// A succession, not verified.
#[derive(Clone, Debug)]
struct Row {
    domain: Domain,
    number: SuccessionNumber,
    /// The root that it names.
    root: Kid,
    record: Vec<u8>,
}

impl Row {
    fn read(record: Vec<u8>) -> Result<Self, trust::Error> {
        let claims = read_unverified_succession(&record)?;
        let (domain, number, root) = (claims.domain(), claims.number(), claims.key().kid());
        Ok(Self { domain, number, root, record })
    }
}

/// A succession chain, and the root to which it leads.
type Chain = (SuccessionNumber, Vec<u8>);

/// # Errors
/// [`Error::DeviceRefused`], [`Error::Refused`] for a file that is no list, and for the list of a root that was succeeded;
/// [`Error::Root`], those of [`reach`]
pub(crate) async fn revocations(
    cli: &Cli,
    options: &Revocations,
    output: &Output,
    interrupt: &Interrupt,
) -> Result<Done, Error> {
    let mut successions = read_successions(&options.successions)?;
    // A device leaves its application for a list, and not for another file.
    let list = read_list(options, &mut successions)?;
    let rows = successions.records.into_iter().map(Row::read).collect::<Result<Vec<_>, _>>();
    let rows = rows.map_err(|error| refused(Subject::Succession(successions.source), error))?;
    let (mut connection, device) = reach(cli, &options.choice, interrupt).await?;
    if device.state.image == ImageState::Trial {
        output.warn("on-trial", "the device has not confirmed its active image; this command reverts it");
    }
    output.step("revocation list");
    enter(&mut connection, device.node).await?;
    let before = trust(&mut connection, device.node).await?;
    match chain_before(cli, rows, &list, before.as_ref()) {
        Ok(chain) => send(&mut connection, &device, chain, &list, output).await?,
        Err(error) => {
            // Whether it hears us does not change the result.
            let _ = Session::new(&mut connection, device.node).reset().await;
            return Err(error);
        }
    }
    let after = trust(&mut connection, device.node).await?;
    let _ = reset(&mut connection, device.node).await?;
    back_with_a_result(&mut connection, device.node, cli, interrupt).await?;
    let sequence = changed_sequence(before, after);
    let words = match sequence {
        Some(sequence) => format!("{} has the revocation list with list-sequence {sequence}.", device.serial),
        None => format!("{} has the revocation list.", device.serial),
    };
    Ok(Done::new("stored", &device, sequence, words))
}

/// The list that the command is about: that of the file, or the one at the end of the chain in it.
fn read_list(options: &Revocations, successions: &mut Successions) -> Result<List, Error> {
    let source = options.list.display().to_string();
    let file = files::read(&options.list, MAX_SUCCESSION_CHAIN_LEN.into())?;
    let chain = read_succession_file(&file).ok();
    let bytes = match chain.as_ref().and_then(|chain| Some((&chain.records, chain.list?))) {
        Some((records, list)) => {
            successions.records.extend(records.iter().map(|record| record.to_vec()));
            list.to_vec()
        }
        None => file,
    };
    let read = read_unverified_revocation(&bytes).map(|list| list.issuer_kid());
    let issuer = read.map_err(|error| refused(Subject::RevocationList(source.clone()), error))?;
    Ok(List { source, issuer, bytes })
}

/// The chain that the device lacks, with this list at its end; `None`: it needs the list only.
fn chain_before(
    cli: &Cli,
    mut rows: Vec<Row>,
    list: &List,
    device: Option<&DeviceTrust>,
) -> Result<Option<Chain>, Error> {
    let Some(device) = device else { return Ok(None) };
    #[cfg(feature = "http")]
    if let Some(cache) = Cache::of(cli)? {
        for entry in &device.domains {
            let kept = cache.successions(Domain(Kid(entry.domain)))?;
            // One that is damaged says nothing.
            rows.extend(kept.into_iter().filter_map(|record| Row::read(record).ok()));
        }
    }
    #[cfg(not(feature = "http"))]
    let _ = cli;
    let named = rows.iter().find(|row| row.root == list.issuer).map(|row| row.domain);
    let Some(domain) = named.or_else(|| device.domain_of(list.issuer)) else { return Ok(None) };
    let Some(number) = device.number(domain) else { return Ok(None) };
    // Without its root a device takes the whole chain.
    let from = if device.root(domain).is_some() { number } else { SuccessionNumber::FIRST };

    let fails = |reason, facts| {
        Err(Error::Refused { subject: list.subject(), reason, position: 0, facts: Some(facts) })
    };
    rows.retain(|row| row.domain == domain);
    let Some(last) = rows.iter().map(|row| row.number).max().filter(|last| *last >= number) else {
        return Ok(None);
    };
    if rows.iter().all(|row| row.number != last || row.root != list.issuer) {
        return fails(Reason::AnchorRights, format!("root {last} of the domain has succeeded its signer"));
    }
    let is_needed = |row: &Row| {
        row.number > from && (row.number.recovery_epoch == last.recovery_epoch || row.number.is_of_recovery())
    };
    rows.retain(is_needed);
    rows.sort_by_key(|row| row.number);
    // The same one from a file and from before.
    rows.dedup_by_key(|row| (row.number, row.root));
    if let Some((row, _)) = rows.iter().zip(rows.iter().skip(1)).find(|(one, next)| one.number == next.number)
    {
        return fails(Reason::SuccessionForked, format!("two successions have the number {}", row.number));
    }
    if rows.is_empty() {
        return Ok(None);
    }
    let needed: Vec<_> = rows.iter().map(|row| row.record.as_slice()).collect();
    let chain = encode_succession_chain(&needed, &list.bytes)
        .map_err(|_| Error::Root(RootFault::TooLong { domain, device: from }))?;
    Ok(Some((last, chain)))
}

/// The list is at the end of a chain, or goes alone.
async fn send(
    connection: &mut Connection,
    device: &Device,
    chain: Option<Chain>,
    list: &List,
    output: &Output,
) -> Result<(), Error> {
    let node = device.node;
    let Some((number, chain)) = chain else {
        return give(connection, node, Object::RevocationList, &list.bytes, list.subject()).await;
    };
    let state = Session::new(connection, node).state().await;
    let state = state.map_err(|trouble| trouble.with(connection, node, READING))?;
    if !takes_chains(state.image) {
        // Whether it hears us does not change the result.
        let _ = Session::new(connection, node).reset().await;
        return Err(Error::Root(RootFault::Waits));
    }
    output.step("succession");
    give(connection, node, Object::SuccessionChain, &chain, Subject::SuccessionChain(number)).await
}
