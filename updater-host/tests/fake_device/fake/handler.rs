//! What a device answers, and what it makes of what it is sent.

use update_protocol::profile::{Component, Destination, ImageState, Mode, Object, did, rid};
use update_protocol::uds::server::{Answer, Download, Handler, SessionChange};
use update_protocol::uds::{Nrc, Session};

use super::{Asked, Fake};
use crate::made::SEQUENCE;

impl Handler for Fake {
    fn read_identifier(&mut self, did: u16, answer: &mut Answer<'_>) -> Result<(), Nrc> {
        if let Some(nrc) = self.script.refuses_reads {
            return Err(nrc);
        }
        let in_loader = self.mode == Mode::Loader;
        match did {
            did::SERIAL => match &self.script.serial_in_loader {
                Some(serial) if in_loader => answer.append(serial),
                _ => answer.append(&self.script.serial),
            },
            did::STATE_RECORD => {
                let confirmed = self.active_sequence == SEQUENCE && self.image == ImageState::Confirmed;
                self.dead = self.dead || (self.script.dies_confirmed && confirmed);
                answer.append(&self.state())
            }
            did::TABLE_STATE if self.script.table.is_some() => {
                let state = self.script.table.as_ref().map(|table| table.state(self.mode));
                answer.append(&state.unwrap_or_default())
            }
            did::ANCHORS if in_loader && self.script.anchors.is_some() => {
                answer.append(self.script.anchors.as_deref().unwrap_or_default())
            }
            did::FACTORY_TAG if self.mode == Mode::Factory => {
                answer.append(&self.script.factory_tag.unwrap_or_default())
            }
            did::IDENTITY => answer.append(&self.script.identity),
            did::APPLICATION_VERSION if !in_loader && self.active_sequence == SEQUENCE => {
                answer.append(&self.script.version_after)
            }
            did::APPLICATION_VERSION if !in_loader => answer.append(&self.script.version),
            _ => Err(Nrc::REQUEST_OUT_OF_RANGE),
        }
    }

    fn change_session(&mut self, session: Session) -> Result<SessionChange, Nrc> {
        if session == Session::Programming {
            self.note(Asked::Programming);
            if let Some(nrc) = self.script.refuses_session {
                return Err(nrc);
            }
            if self.script.loses_power_in_session > 0 {
                self.script.loses_power_in_session -= 1;
                self.has_restarted = true;
                return Ok(SessionChange::Enter);
            }
            if !self.script.stays_on_trial && std::mem::take(&mut self.script.is_on_trial) {
                self.revert();
                self.script.second_slot = !self.script.second_slot;
            }
            self.mode = if self.script.factory_tag.is_some() { Mode::Factory } else { Mode::Loader };
        }
        Ok(SessionChange::Enter)
    }

    fn open_object(&mut self, download: Download) -> Result<(), Nrc> {
        let to = match &self.script.table {
            Some(_) => Destination::at(download.address),
            None => Object::at(download.address).map(Destination::from),
        };
        let to = to.ok_or(Nrc::REQUEST_OUT_OF_RANGE)?;
        let object = to.object;
        let (times, delay_s) = &mut self.script.delays;
        if matches!(object, Object::Image { .. }) && *times > 0 {
            *times -= 1;
            (self.reason, self.reason_position) = (0x031a, *delay_s);
            return Err(Nrc::REQUIRED_TIME_DELAY_NOT_EXPIRED);
        }
        self.open = Some((to, Vec::new()));
        Ok(())
    }

    fn write_object(&mut self, _offset: u32, data: &[u8]) -> Result<(), Nrc> {
        std::thread::sleep(self.script.block_pause);
        let Some((to, bytes)) = &mut self.open else { return Err(Nrc::REQUEST_SEQUENCE_ERROR) };
        bytes.extend_from_slice(data);
        let is_image = matches!(to.object, Object::Image { .. });
        if is_image && self.script.dies_after.is_some_and(|limit| bytes.len() >= limit) {
            self.dead = true;
        }
        Ok(())
    }

    fn finish_object(&mut self) -> Result<(), Nrc> {
        let (to, bytes) = self.open.take().ok_or(Nrc::REQUEST_SEQUENCE_ERROR)?;
        let object = to.object;
        if let (Component::Table, Some(table)) = (to.component, &mut self.script.table) {
            let finished = table.finish(object);
            self.note(Asked::OfTable(object, bytes));
            return finished;
        }
        let block = (object == Object::ProvisioningBlock).then(|| bytes.clone());
        self.note(Asked::Object(object, bytes));
        let same = |refused: Object| std::mem::discriminant(&refused) == std::mem::discriminant(&object);
        if let Some((_, nrc, reason)) = self.script.refuses.filter(|(refused, _, _)| same(*refused)) {
            self.reason = reason;
            return Err(nrc);
        }
        if let Some((lost, times)) = &mut self.script.loses_session
            && *times > 0
            && same(*lost)
        {
            *times -= 1;
            return Err(Nrc::SERVICE_NOT_IN_SESSION);
        }
        match object {
            Object::Envelope if self.script.lost_list => {
                self.reason = 0x030b;
                return Err(Nrc::CONDITIONS_NOT_CORRECT);
            }
            Object::RevocationList => self.script.lost_list = false,
            Object::Envelope => self.installing = true,
            Object::Image { .. } => {
                self.image = ImageState::Pending;
                if self.script.resets_by_itself {
                    self.has_restarted = true;
                    self.restart();
                }
            }
            Object::SuccessionChain => {
                self.script.anchors = self.script.anchors_after.take().or(self.script.anchors.take());
            }
            Object::ProvisioningBlock => self.script.take(&block.unwrap_or_default())?,
        }
        Ok(())
    }

    fn close_object(&mut self) {
        self.open = None;
    }

    fn run_routine(&mut self, routine: u16, option: &[u8], answer: &mut Answer<'_>) -> Result<(), Nrc> {
        if routine == rid::MAKE_REPORT {
            self.note(Asked::Report(option.to_vec()));
            let reporting = self.script.reporting.clone().ok_or(Nrc::INCORRECT_LENGTH)?;
            return answer.append(&reporting(option)?);
        }
        if routine != rid::ABANDON_INSTALL {
            return Err(Nrc::REQUEST_OUT_OF_RANGE);
        }
        if Component::of(option) == Some(Component::Table) {
            let table = self.script.table.as_mut().ok_or(Nrc::INCORRECT_LENGTH)?;
            table.abandon();
            self.note(Asked::AbandonTable);
            return answer.append(&[0]);
        }
        self.note(Asked::Abandon);
        self.installing = false;
        if self.image == ImageState::Pending {
            self.image = ImageState::Confirmed;
        }
        answer.append(&[0])
    }

    fn prepare_reset(&mut self) -> Result<(), Nrc> {
        self.resets_next = true;
        Ok(())
    }
}
