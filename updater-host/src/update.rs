//! `update`: choose, verify, plan, ask, send, restart, report (docs/updater-host.md).

use std::time::Instant;

use serde::Serialize;
use suit_manifest::Target;
use suit_manifest::reason::Reason;
use trust::{RevocationList, TrustStoreBuf};
use update_protocol::profile::{Component, ImageState, Mode, StateRecord};

#[cfg(feature = "http")]
use crate::cache::Cache;
use crate::cli::{Cli, Update};
use crate::commands::report::check_free;
use crate::connection::Connection;
use crate::device::{Device, DeviceTrust, Installed, reason_slug, target_of};
use crate::error::{Error, Moment, Subject, reason_hint};
use crate::install::{Delivered, Delivery, Install, Learned, NewestList, Refused, Sent, Transferred};
use crate::interrupt::Interrupt;
use crate::output::{Output, Report};
use crate::plan::{Plan, ReleaseName};
use crate::release::{Authority, Release};
#[cfg(feature = "http")]
use crate::reporting::Reporting;
use crate::restart::{Outcome, Restart, Settled};
use crate::scan::{READING, choose};
use crate::session::Session;
use crate::source::{self, HostChecks, Offer};
use crate::trusted::{Records, read_anchors, read_successions};

/// Exit code when the device ended up without the release confirmed (docs/errors.md: remote refused).
const EXIT_NOT_CONFIRMED: u8 = 7;

/// Said before a transfer of CAN FD frames that nobody told the data bit rate of.
const DATA_RATE_UNKNOWN: &str = "the data bit rate of the CAN FD bus is not known: frames are sent no faster than the \
    nominal bit rate allows. Append the data bit rate to the bus address, such as &data=2M";

const STILL_ON_TRIAL: &str = "Run the same command again to wait longer. Without a confirmation the next reset ends the \
    trial; call the manufacturer if it stays away.";

/// How an update ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum UpdateResult {
    /// The new image runs and has confirmed itself.
    Confirmed,
    /// The new image runs and has not confirmed itself.
    Trial,
    /// The device went back to what it ran before.
    Reverted,
    /// The device runs the release already.
    UpToDate,
    /// The newest release of the server is older than what the device runs.
    #[cfg_attr(not(feature = "http"), allow(dead_code))]
    NothingNewer,
}

/// Result of `update`.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct UpdateReport {
    result: UpdateResult,
    /// What was updated: `firmware` or `table`.
    target: &'static str,
    serial: String,
    node: u8,
    before: Installed,
    after: Installed,
    /// What was offered.
    release: ReleaseName,
    resumed_from: u32,
    bytes_sent: u64,
    seconds: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    hint: Option<&'static str>,
}

impl Report for UpdateReport {
    fn lines(&self) -> String {
        let name = |installed: &Installed| match (&installed.version, installed.sequence) {
            (Some(version), sequence) => format!("{version} (sequence number {sequence})"),
            (None, 0) => "nothing".to_owned(),
            (None, sequence) => format!("sequence number {sequence}"),
        };
        let (serial, after) = (&self.serial, name(&self.after));
        let reason = self.reason.as_deref().unwrap_or("no reason given");
        if self.target == Target::Table.name() {
            return self.lines_of_table(name);
        }
        match self.result {
            UpdateResult::Confirmed => {
                format!("{serial} runs {after} and has confirmed it, in {:.1} s.", self.seconds)
            }
            UpdateResult::UpToDate => format!("{serial} runs {after} already."),
            UpdateResult::NothingNewer => {
                let newest = self.release.sequence.map_or_else(String::new, |number| format!(" ({number})"));
                format!("{serial} runs {after}; the server has nothing newer{newest}.")
            }
            UpdateResult::Trial => {
                // A run that only went on waiting found the trial itself.
                let next = match self.before.sequence == self.after.sequence {
                    true => "The next reset brings the image before it back.".to_owned(),
                    false if self.before.sequence == 0 => {
                        "No image was there before it: the next reset ends it, and the device then waits for one.".to_owned()
                    }
                    false => format!("The next reset brings {} back.", name(&self.before)),
                };
                format!("{serial} runs {after} on trial and has not confirmed it. {next}")
            }
            UpdateResult::Reverted => format!("{serial} reverted to {after}: {reason}."),
        }
    }

    fn is_change(&self) -> bool {
        true
    }

    fn exit_code(&self) -> u8 {
        match self.result {
            UpdateResult::Confirmed | UpdateResult::UpToDate | UpdateResult::NothingNewer => 0,
            UpdateResult::Trial | UpdateResult::Reverted => EXIT_NOT_CONFIRMED,
        }
    }
}

impl UpdateReport {
    fn lines_of_table(&self, name: impl Fn(&Installed) -> String) -> String {
        let (serial, after) = (&self.serial, name(&self.after));
        match self.result {
            UpdateResult::Confirmed => {
                format!("{serial} uses the table {after} and has confirmed it, in {:.1} s.", self.seconds)
            }
            UpdateResult::UpToDate | UpdateResult::NothingNewer => {
                format!("{serial} has the table {after} already.")
            }
            UpdateResult::Trial => {
                let next = match (self.before.sequence == self.after.sequence, self.before.sequence) {
                    (true, _) => "The next reset brings the table before it back.".to_owned(),
                    (false, 0) => "The next reset ends that; no table was there before it.".to_owned(),
                    (false, _) => format!("The next reset brings {} back.", name(&self.before)),
                };
                format!("{serial} uses the table {after} on trial and has not confirmed it. {next}")
            }
            UpdateResult::Reverted => {
                let reason = self.reason.as_deref().unwrap_or("no reason given");
                format!("{serial} reverted to the table {after}: {reason}.")
            }
        }
    }
}

/// # Errors
/// [`Error`]
pub(crate) async fn run(
    cli: &Cli,
    options: &Update,
    output: &Output,
    interrupt: &Interrupt,
) -> Result<UpdateReport, Error> {
    options.refusal_report.as_deref().map(check_free).transpose()?;
    let checks = if options.dangerous_skip_host_checks { HostChecks::Skipped } else { HostChecks::Enforced };
    if checks == HostChecks::Skipped {
        output.warn(
            "host-checks-skipped",
            "THE HOST'S CHECKS ARE OFF: a release that fails verification is sent.",
        );
    }
    #[cfg(feature = "http")]
    let reporting = Reporting::new(cli, options.contact(), output)?;
    #[cfg(not(feature = "http"))]
    let reporting: Option<Reporting> = None;
    let update = Run { cli, options, checks, reporting: reporting.as_ref(), output, interrupt };
    let outcome = update.run().await;
    #[cfg(feature = "http")]
    if let Some(reporting) = &reporting {
        reporting.tell_lost(output);
    }
    outcome
}

/// A program without HTTP reports to nobody.
#[cfg(not(feature = "http"))]
enum Reporting {}

/// The update of one device.
struct Run<'r> {
    cli: &'r Cli,
    options: &'r Update,
    checks: HostChecks,
    reporting: Option<&'r Reporting>,
    output: &'r Output,
    interrupt: &'r Interrupt,
}

impl Run<'_> {
    async fn run(&self) -> Result<UpdateReport, Error> {
        let Self { cli, options, checks, reporting, output, interrupt } = *self;
        // What was given is read before a device is bothered.
        let mut trusted = read_anchors(&options.anchors, &options.recovery_anchors)?;
        let mut records =
            Records { successions: read_successions(&options.successions)?, ..Records::default() };
        records.read_lists(&options.revocations)?;
        #[cfg(feature = "http")]
        let cache = Cache::of(cli)?;
        #[cfg(feature = "http")]
        if let Some(cache) = &cache {
            source::fetched_records(cache, &trusted, &mut records)?;
        }
        records.add_to(&mut trusted, output)?;
        #[cfg(feature = "http")]
        if let Some(cache) = &cache {
            source::keep_successions(cache, &trusted, output)?;
        }
        let found = async {
            let mut connection = Connection::open(cli).await?;
            let mut device = choose(&mut connection, &options.choice, cli.scan_time).await?;
            device.check_identity()?;
            #[cfg(feature = "http")]
            if let Some(reporting) = reporting {
                reporting.deliver(output, interrupt).await;
                source::fetch_records(&reporting.online(output), &mut trusted).await?;
            }
            let offer = match (&options.release, &options.bundle) {
                (Some(envelope), _) => {
                    source::from_files(envelope, &options.images, &trusted, &mut device, checks, output)
                        .map(Offer::Release)
                }
                (None, Some(folder)) => {
                    source::from_bundle(folder, &trusted, &mut device, checks, output).map(Offer::Release)
                }
                #[cfg(feature = "http")]
                _ => match reporting {
                    Some(reporting) => reporting.online(output).release(&trusted, &device, checks).await,
                    None => Err(Error::NothingToInstall),
                },
                #[cfg(not(feature = "http"))]
                _ => Err(Error::NothingToInstall),
            };
            // A server's registry is of what devices run.
            let reporting = reporting.filter(|_| device.component == Component::Firmware);
            let found = Found { connection, device, reporting };
            Ok((found, offer))
        };
        let (mut found, offer) = interrupt.or(Moment::BeforeTransfer, found).await?;
        let lists = newest_lists(&trusted);
        let knows_one_domain = trusted.domains().count() == 1;
        let release = match offer {
            Ok(Offer::Release(release)) if !is_done(&found.device, &release, options) => release,
            offer => {
                // What is told of a device is told of one.
                let settled = Session::new(&mut found.connection, found.device.node).settle().await;
                settled.map_err(|trouble| trouble.with(&found.connection, found.device.node, READING))?;
                #[cfg(feature = "http")]
                let remembered = remembered(cache.as_ref(), &found.device)?;
                #[cfg(not(feature = "http"))]
                let remembered: Option<DeviceTrust> = None;
                let delivery = Delivery {
                    connection: &mut found.connection,
                    device: &found.device,
                    trusted: &trusted,
                    remembered: remembered.as_ref(),
                    lists: &lists,
                    knows_one_domain,
                    output,
                    interrupt,
                    patience: cli.patience,
                };
                let delivered = if offer.as_ref().err().is_none_or(is_about_the_release) {
                    delivery.run(options.yes).await?
                } else {
                    Delivered::default()
                };
                found.device.trust = delivered.trust.or(found.device.trust);
                #[cfg(feature = "http")]
                remember(cache.as_ref(), &found.device, output);
                return found.without_install(offer, &delivered.refused, output, interrupt).await;
            }
        };
        let mut prepared = Prepared {
            connection: found.connection,
            device: found.device,
            release,
            reporting: found.reporting,
        };
        let Prepared { device, release, .. } = &prepared;
        let plan = Plan::new(device, release, &trusted, &prepared.connection);
        output.say(&plan.lines());
        output.event(&plan);
        warn_of_equal_number(device, release, output);
        warn_of_clock(release, output);
        if prepared.connection.lacks_data_rate() {
            output.warn("data-bit-rate", DATA_RATE_UNKNOWN);
        }
        let on_trial = is_on_trial(device, release) && !options.reinstall;
        if let Some(component) = device.on_trial().filter(|_| !on_trial) {
            let what = match component {
                Component::Firmware => "image",
                Component::Table => "table",
            };
            let words =
                format!("the device has not confirmed its active {what}; this update reverts it first");
            output.warn("on-trial", &words);
        }
        if let Some(component) = device.waits_beside() {
            let what = target_of(component).name();
            output.warn(
                "pending",
                &format!("an installed {what} waits for a reset; this update starts it too"),
            );
        }
        if !options.yes && !on_trial {
            let confirmed = interrupt.or(Moment::BeforeTransfer, output.confirm("Install it?")).await?;
            if !confirmed {
                return Err(Error::Declined);
            }
        }
        let installed = prepared.install(cli, options, (&trusted, &lists), output, interrupt).await;
        #[cfg(feature = "http")]
        remember(cache.as_ref(), &prepared.device, output);
        installed
    }
}

/// A device, and whom to tell of it.
struct Found<'r> {
    connection: Connection,
    device: Device,
    reporting: Option<&'r Reporting>,
}

impl Found<'_> {
    /// The end of an update without anything to install: a release that was refused, that runs already or that does not
    /// exist. `refused` says which records the device did not take.
    #[cfg_attr(not(feature = "http"), allow(clippy::unused_async, unused_variables))]
    async fn without_install(
        &self,
        offer: Result<Offer, Error>,
        refused: &[Refused],
        output: &Output,
        interrupt: &Interrupt,
    ) -> Result<UpdateReport, Error> {
        #[cfg(feature = "http")]
        if let Some(reporting) = self.reporting {
            reporting.records_refused(&self.device, refused, output);
        }
        let offer = match offer {
            Ok(offer) => offer,
            Err(error) => {
                #[cfg(feature = "http")]
                if let Some(reporting) = self.reporting {
                    reporting.deliver(output, interrupt).await;
                }
                return Err(error);
            }
        };
        let (result, release, name) = match offer {
            Offer::Release(release) => {
                let name = ReleaseName::of(&release);
                (UpdateResult::UpToDate, Some(release), name)
            }
            Offer::Older(name) => (UpdateResult::NothingNewer, None, name),
        };
        // An earlier run may have ended before it could say so.
        #[cfg(feature = "http")]
        if let Some(reporting) = self.reporting {
            reporting.runs(&self.device, release.as_ref(), output, interrupt).await;
        }
        #[cfg(not(feature = "http"))]
        drop(release);
        // It holds this release, or none is newer; a device that works is something else.
        if self.device.silence().is_some() {
            return Err(Error::NothingRuns { reason_code: self.device.state.reason });
        }
        Ok(report(&self.device, name, result, self.device.installed(), None))
    }
}

/// What the device said to an earlier run that it trusts: its application does not say it.
#[cfg(feature = "http")]
fn remembered(cache: Option<&Cache>, device: &Device) -> Result<Option<DeviceTrust>, Error> {
    let id = uuid::Uuid::from_bytes(device.identity.device);
    let kept = cache.map(|cache| cache.device_trust(id)).transpose()?.flatten();
    Ok(kept.and_then(|report| DeviceTrust::read(&report).ok()))
}

/// Keeps what the device trusts, so that it is not taken from its application again to be asked.
#[cfg(feature = "http")]
fn remember(cache: Option<&Cache>, device: &Device, output: &Output) {
    let id = uuid::Uuid::from_bytes(device.identity.device);
    let Some((cache, trust)) = cache.zip(device.trust.as_ref()) else { return };
    if let Err(error) = cache.keep_device_trust(id, &trust.encode()) {
        output.warn(&error.code(), &format!("{error}; the device is asked again the next time"));
    }
}

/// Whether an error says that there is no release for the device, and not that this program was not able to look.
fn is_about_the_release(error: &Error) -> bool {
    let is_refused = matches!(
        error,
        Error::NoTable { .. }
            | Error::NoFirmware { .. }
            | Error::Refused {
                subject: Subject::Envelope | Subject::Image | Subject::SlotImage { .. } | Subject::Table,
                ..
            }
    );
    #[cfg(feature = "http")]
    let is_refused = is_refused
        || matches!(
            error,
            Error::NoRelease { .. } | Error::NotOffered { .. } | Error::ServerRefused { status: 410, .. }
        );
    is_refused
}

/// Everything is there and verified.
struct Prepared<'r> {
    connection: Connection,
    device: Device,
    release: Release,
    #[cfg_attr(not(feature = "http"), expect(dead_code, reason = "there is nobody to tell"))]
    reporting: Option<&'r Reporting>,
}

impl Prepared<'_> {
    async fn install(
        &mut self,
        cli: &Cli,
        options: &Update,
        records: (&TrustStoreBuf, &[NewestList]),
        output: &Output,
        interrupt: &Interrupt,
    ) -> Result<UpdateReport, Error> {
        let started = Instant::now();
        #[cfg(feature = "http")]
        if let Some(reporting) = self.reporting {
            reporting.started(&self.device, &self.release, output, interrupt).await;
        }
        let outcome = self.transfer_and_restart(cli, options, records, output, interrupt).await;
        #[cfg(feature = "http")]
        if let Some(reporting) = self.reporting {
            reporting.ended(&self.device, &self.release, &outcome, output, interrupt).await;
        }
        let Ended { sent, outcome, after, ran_already } = outcome?;
        let (result, reason) = match outcome {
            Outcome::Confirmed if ran_already => (UpdateResult::UpToDate, None),
            Outcome::Confirmed => (UpdateResult::Confirmed, None),
            Outcome::Trial => (UpdateResult::Trial, None),
            Outcome::Reverted(reason) => (UpdateResult::Reverted, Some(reason)),
        };
        if result == UpdateResult::Confirmed {
            warn_of_labels(&self.release, &after, output);
        }
        let report = report(&self.device, ReleaseName::of(&self.release), result, after, reason);
        Ok(UpdateReport {
            resumed_from: sent.resumed_from,
            bytes_sent: sent.bytes,
            seconds: started.elapsed().as_secs_f64(),
            ..report
        })
    }

    async fn transfer_and_restart(
        &mut self,
        cli: &Cli,
        options: &Update,
        (trusted, lists): (&TrustStoreBuf, &[NewestList]),
        output: &Output,
        interrupt: &Interrupt,
    ) -> Result<Ended, Error> {
        let mut sent = Sent::default();
        let on_trial = is_on_trial(&self.device, &self.release) && !options.reinstall;
        if !on_trial {
            let mut install = Install {
                connection: &mut self.connection,
                device: &self.device,
                release: &mut self.release,
                trusted,
                lists,
                learned: Learned::default(),
                output,
                interrupt,
                patience: cli.patience,
                refusal_report: options.refusal_report.as_deref(),
            };
            let installed = install.run().await;
            let learned = install.learned;
            #[cfg(feature = "http")]
            if let Some(reporting) = self.reporting {
                reporting.records_refused(&self.device, &learned.refused, output);
                if let Some(said) = learned.said {
                    reporting.refusal_said(&self.device, said, output);
                }
            }
            self.device.trust = learned.trust.or(self.device.trust.take());
            sent = match installed? {
                Transferred::Pending(sent) => sent,
                Transferred::RunsAlready => return Ok(self.runs_already().await),
            };
            #[cfg(feature = "http")]
            if let Some(reporting) = self.reporting {
                reporting.installed(&self.device, &self.release, output);
            }
        }
        let restart = Restart {
            connection: &mut self.connection,
            node: self.device.node,
            component: self.device.component,
            sequence: self.release.facts.as_ref().map(|facts| facts.sequence),
            digest: self.release.facts.as_ref().map(|facts| facts.manifest_digest),
            sequence_before: self.device.state.active_sequence,
            output,
            interrupt,
            patience: cli.patience,
            confirm_timeout: options.confirm_timeout,
            revert_unconfirmed: options.revert_unconfirmed,
        };
        let Settled { outcome, state } =
            if on_trial { restart.wait_or_revert().await? } else { restart.reset_and_wait().await? };
        let after = self.after(&state).await;
        Ok(Ended { sent, outcome, after, ran_already: false })
    }

    /// What the device has now. The outcome is known; a device that is silent now only keeps the name of its version to
    /// itself.
    async fn after(&mut self, state: &StateRecord) -> Installed {
        if self.device.component == Component::Table {
            let mut after = Installed::new(None, state);
            // Nobody but its release has a name for it.
            let facts = self.release.facts.as_ref();
            let own = facts.filter(|facts| after.digest == Some(facts.manifest_digest));
            after.version = own.and_then(|facts| facts.version.clone());
            return after;
        }
        let mut session = Session::new(&mut self.connection, self.device.node);
        let version = session.application_version(state.mode).await;
        Installed::new(version.ok().flatten().as_ref(), state)
    }

    /// The end of an update that the device did not need: it was let go with the image that it ran.
    async fn runs_already(&mut self) -> Ended {
        let session = Session::new(&mut self.connection, self.device.node);
        let after = match session.of(self.device.component).state().await {
            Ok(state) => self.after(&state).await,
            // It has said what it runs; a device that is silent now only keeps the name of its version to itself.
            Err(_) => self.device.installed(),
        };
        Ended { sent: Sent::default(), outcome: Outcome::Confirmed, after, ran_already: true }
    }
}

/// A transfer that the device has judged.
pub(crate) struct Ended {
    pub(crate) sent: Sent,
    pub(crate) outcome: Outcome,
    pub(crate) after: Installed,
    /// The device ran the release before, and refused to install it again.
    pub(crate) ran_already: bool,
}

/// Whether there is nothing to do: the release is confirmed.
fn is_done(device: &Device, release: &Release, options: &Update) -> bool {
    let state = &device.state;
    let wants_it_again = options.reinstall || options.dangerous_skip_host_checks;
    !wants_it_again
        && runs(device, release)
        && state.image == ImageState::Confirmed
        && state.mode == Mode::Application
}

/// Whether the release runs already and only has to confirm itself. Sending it again would revert it first.
fn is_on_trial(device: &Device, release: &Release) -> bool {
    let state = &device.state;
    runs(device, release) && state.image == ImageState::Trial && state.mode == Mode::Application
}

/// Whether the active image of a device is this release: by its manifest digest, or by its sequence number where the
/// device does not say the digest.
fn runs(device: &Device, release: &Release) -> bool {
    let Some(facts) = release.facts.as_ref() else { return false };
    match device.active_digest() {
        Some(digest) => digest == facts.manifest_digest,
        None => facts.sequence == device.state.active_sequence,
    }
}

/// Two releases with one number: the device has the other one.
fn warn_of_equal_number(device: &Device, release: &Release, output: &Output) {
    let Some(facts) = release.facts.as_ref() else { return };
    if let Some(digest) = device.active_digest()
        && facts.sequence == device.state.active_sequence
        && digest != facts.manifest_digest
    {
        let verb = match device.component {
            Component::Firmware => "runs",
            Component::Table => "has the table of",
        };
        let words = format!(
            "the device {verb} another release with the sequence number {}; this update replaces it",
            facts.sequence
        );
        output.warn("same-number", &words);
    }
}

/// A clock that is wrong finds no credential expired.
fn warn_of_clock(release: &Release, output: &Output) {
    let authority = release.facts.as_ref().map(|facts| &facts.authority);
    if let Some(Authority::Credential { clock_warning: Some(warning), .. }) = authority {
        output.warn("clock", warning);
    }
}

/// A release and its application may call themselves differently: then somebody has packed the wrong image.
fn warn_of_labels(release: &Release, after: &Installed, output: &Output) {
    let named = release.facts.as_ref().and_then(|facts| facts.version.as_deref());
    if let (Some(named), Some(found)) = (named, after.version.as_deref())
        && named != found
    {
        let words = format!(
            "the release is labelled {named}, but the application that runs now reports {found}; tell the manufacturer"
        );
        output.warn("version-labels-differ", &words);
    }
}

/// The lists that are held here; which of them the device can verify is asked when it is in its session.
fn newest_lists(trusted: &TrustStoreBuf) -> Vec<NewestList> {
    let given = |list: RevocationList<'_>| NewestList {
        domain: list.domain(),
        sequence: list.sequence(),
        bytes: list.as_bytes().to_vec(),
    };
    trusted.lists().map(given).collect()
}

fn report(
    device: &Device,
    release: ReleaseName,
    result: UpdateResult,
    after: Installed,
    reason_code: Option<u16>,
) -> UpdateReport {
    let known = reason_code.and_then(Reason::from_code);
    let hint = match result {
        UpdateResult::Confirmed | UpdateResult::UpToDate | UpdateResult::NothingNewer => None,
        UpdateResult::Trial => Some(STILL_ON_TRIAL),
        UpdateResult::Reverted => Some(reason_hint(known.unwrap_or(Reason::TrialNotConfirmed))),
    };
    UpdateReport {
        result,
        target: target_of(device.component).name(),
        serial: device.serial.to_string(),
        node: device.node,
        before: device.installed(),
        after,
        release,
        resumed_from: 0,
        bytes_sent: 0,
        seconds: 0.0,
        reason: reason_code.and_then(reason_slug),
        hint,
    }
}
