//! How many devices answer. Each gives one answer to each request, so more answers than requests come from several
//! devices with one address. Nobody waits for them: the frames that come anyhow are counted.

use std::collections::{BTreeMap, BTreeSet};

use update_protocol::uds::{Nrc, POSITIVE_OFFSET, SUPPRESS_POSITIVE};

/// A node that did not see its frame acknowledged sends it again, though it may have come (ISO 11898-1): not more than
/// one answer in so many, by far, comes twice.
const REPEATED_ONCE_IN: u32 = 256;
/// Requests and the answers to them, on one pair of identifiers.
#[derive(Debug, Default)]
pub(crate) struct Answers {
    /// By service that was asked: requests without an answer. A device that starts may answer all that came meanwhile,
    /// however many.
    owed: BTreeMap<u8, u32>,
    /// Services that we asked: a slower device answers an earlier request.
    asked: BTreeSet<u8>,
    requests: u32,
    answers: u32,
    surplus: u32,
    /// When the first request left, microseconds.
    since_us: Option<u64>,
}

/// More answers came than requests were sent.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Surplus {
    pub(crate) answers: u32,
    pub(crate) requests: u32,
}

impl Answers {
    /// A request leaves, or leaves again.
    pub(crate) fn asked(&mut self, service: u8, now_us: u64) {
        self.since_us.get_or_insert(now_us);
        self.requests = self.requests.saturating_add(1);
        self.asked.insert(service);
        self.owe(service);
    }

    /// A frame of another tester came, with an identifier that we send with: the device answers its requests as well.
    pub(crate) fn overheard(&mut self, data: &[u8]) {
        if let Some(&[service, sub_function, ..]) = message_of(data) {
            let is_silent =
                matches!(service, 0x10 | 0x11 | 0x31 | 0x3E) && sub_function & SUPPRESS_POSITIVE != 0;
            if !is_silent {
                self.owe(service);
            }
        }
    }

    fn owe(&mut self, service: u8) {
        let owed = self.owed.entry(service).or_default();
        *owed = owed.saturating_add(1);
    }

    /// A frame came from the address that was asked.
    pub(crate) fn heard(&mut self, data: &[u8]) {
        let Some(service) = answered_service(data).filter(|service| self.asked.contains(service)) else {
            return;
        };
        self.answers = self.answers.saturating_add(1);
        match self.owed.get_mut(&service) {
            Some(owed) if *owed > 0 => *owed -= 1,
            _ => self.surplus = self.surplus.saturating_add(1),
        }
    }

    /// When the first request left, microseconds.
    pub(crate) const fn since_us(&self) -> Option<u64> {
        self.since_us
    }

    pub(crate) fn surplus(&self) -> Option<Surplus> {
        let surplus = Surplus { answers: self.answers, requests: self.requests };
        (self.surplus > self.requests / REPEATED_ONCE_IN).then_some(surplus)
    }
}

/// The message that a single or a first frame begins (ISO 15765-2, 9.6).
fn message_of(data: &[u8]) -> Option<&[u8]> {
    match data {
        [0x01..=0x0F, message @ ..] | [0x00, _, message @ ..] | [0x10..=0x1F, _, message @ ..] => {
            Some(message)
        }
        _ => None,
    }
}

/// The service that a frame begins to answer finally.
pub(crate) fn answered_service(data: &[u8]) -> Option<u8> {
    match message_of(data)? {
        [0x7F, refused, nrc, ..] => (*nrc != Nrc::RESPONSE_PENDING.0).then_some(*refused),
        [answered, ..] => answered.checked_sub(POSITIVE_OFFSET),
        [] => None,
    }
}

#[cfg(test)]
mod tests {
    use super::{Answers, Surplus};

    const ANSWER: [u8; 4] = [0x03, 0x62, 0xF1, 0x8C];
    const FIRST: [u8; 8] = [0x10, 0x20, 0x62, 0xFD, 0, 1, 2, 3];
    const REFUSED: [u8; 4] = [0x03, 0x7F, 0x22, 0x31];

    fn evidence(frames: &[&[u8]], requests: u32) -> bool {
        let mut answers = Answers::default();
        for _ in 0..requests {
            answers.asked(0x22, 0);
        }
        for frame in frames {
            answers.heard(frame);
        }
        answers.surplus().is_some()
    }

    #[test]
    fn answers_beyond_the_requests_are_counted() {
        assert!(evidence(&[&ANSWER, &FIRST], 1));
        assert!(evidence(&[&FIRST, &[0x21, 1], &FIRST], 1));
        assert!(!evidence(&[&ANSWER, &FIRST, &REFUSED], 3));
    }

    #[test]
    fn one_answer_among_hundreds_may_come_twice() {
        let mut answers = Answers::default();
        for requests in 1..=300 {
            answers.asked(0x36, 0);
            answers.heard(&[0x02, 0x76, 0x01]);
            assert_eq!(answers.surplus(), None, "{requests}");
        }
        answers.heard(&[0x02, 0x76, 0x01]);
        assert_eq!(answers.surplus(), None);
        answers.heard(&[0x02, 0x76, 0x01]);
        assert_eq!(answers.surplus(), Some(Surplus { answers: 302, requests: 300 }));
    }

    #[test]
    fn frames_that_begin_no_answer_are_none() {
        let others: [&[u8]; 5] = [
            &[0x21, 0x62, 0xF1],       // a consecutive frame
            &[0x30, 0, 0],             // a flow control
            &[0x03, 0x7F, 0x22, 0x78], // it is at work
            &[0x03, 0x7F, 0x10, 0x22], // an answer to another service
            &[0x02, 0x7E, 0x00],
        ];
        assert!(!evidence(&[&ANSWER, others[0], others[1], others[2], others[3], others[4]], 1));
    }

    /// Another tester with our identifiers gets answers too; one that keeps sessions alive gets none.
    #[test]
    fn answers_to_another_tester_are_owed_too() {
        let clash = |overheard: &[u8]| {
            let mut answers = Answers::default();
            answers.asked(0x22, 0);
            answers.overheard(overheard);
            answers.heard(&ANSWER);
            answers.heard(&FIRST);
            answers.surplus().is_some()
        };
        assert!(!clash(&[0x03, 0x22, 0xF1, 0x90]));
        assert!(clash(&[0x02, 0x3E, 0x80]));
        assert!(clash(&[0x02, 0x01, 0x0C]));
        assert!(clash(&[0x30, 0, 0]));
    }

    /// What was lost of one service hides no second answer to another.
    #[test]
    fn lost_requests_of_one_service_count_for_it_only() {
        let mut answers = Answers::default();
        for _ in 0..80 {
            answers.asked(0x10, 0);
        }
        answers.asked(0x22, 0);
        answers.heard(&ANSWER);
        assert_eq!(answers.surplus(), None);
        answers.heard(&REFUSED);
        assert!(answers.surplus().is_some());
    }

    /// What waited in a queue while a device was away is answered late, and not by two.
    #[test]
    fn answers_that_come_all_at_once_are_as_many_as_the_requests() {
        let late: Vec<&[u8]> = vec![&ANSWER; 300];
        assert!(!evidence(&late, 300));
        assert!(evidence(&late, 298));
    }
}
