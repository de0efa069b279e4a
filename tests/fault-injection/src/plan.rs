//! Which instructions are skipped, and when: each that ran between the reset and the jump, at its first, second and last
//! execution; where a case begins later, since the first call of a function, the first and second one from there on. What runs more often than that are the loops of the hash and of the curve and copies of memory, where each
//! round does the same to other data.

use std::collections::BTreeSet;
use std::str::FromStr;

use anyhow::{Result, ensure};

use crate::Arguments;
use crate::loader::Loader;
use crate::workers::Trace;

/// Functions of these decide whether an image runs. What else the loader consists of is computed (hash, curve), copied
/// or read.
const DECIDING: [&str; 4] = ["trust::", "suit_manifest::", "firmware_image::", "bootloader::"];
/// Parts of them that only compute.
const COMPUTING: [&str; 2] = ["trust::curve", "trust::scalar"];

/// An instruction: its address, how often it ran, how many ran before its first time, and how often it ran before the attack
/// begins.
pub(crate) type Executed = (u32, u32, u64, u32);

/// A joint runs at most so often; else the comparisons would take longer than what they spare.
const JOINT_RUNS_MAX: u32 = 6;
/// Joints in a run, about.
const JOINTS: u64 = 24;

/// An instruction to skip.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place {
    address: u32,
    /// Of its execution, from 1 on.
    number: Option<u32>,
}

impl FromStr for Place {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (address, number) = match text.split_once(':') {
            Some((address, number)) => (address, Some(number)),
            None => (text, None),
        };
        let digits = address.strip_prefix("0x").unwrap_or(address);
        let address =
            u32::from_str_radix(digits, 16).map_err(|_| format!("`{address}` is no address in hex"))?;
        let number = number.map(|number| match number.parse() {
            Ok(0) | Err(_) => Err(format!("`{number}` is no number of an execution: they count from 1")),
            Ok(number) => Ok(number),
        });
        Ok(Self { address, number: number.transpose()? })
    }
}

/// What is attacked in one case.
pub(crate) struct Plan {
    /// All instructions that ran.
    pub(crate) executed: Vec<u32>,
    /// Those that are skipped, each with the number of its execution.
    pub(crate) attacks: Vec<(u32, u32)>,
    /// First instructions of functions, spread over the run, where runs are compared.
    pub(crate) joints: Vec<u32>,
}

impl Plan {
    /// Chooses among the instructions that ran.
    pub(crate) fn new(trace: &Trace, loader: &Loader, arguments: &Arguments) -> Result<Self> {
        let mut attacks = Vec::new();
        let executed = &trace.executed;
        for &(address, count, _, before) in executed {
            if arguments.at.is_empty() {
                let name = loader.name_at(address);
                let functions = &arguments.functions;
                let is_named = functions.is_empty() || functions.iter().any(|part| name.contains(part));
                if !is_named || arguments.brief && !decides(name) {
                    continue;
                }
                let since = if arguments.brief { 1 } else { u32::MAX }.min(count - before);
                attacks.extend(numbers(since).into_iter().map(|number| (address, before + number)));
            }
            for place in arguments.at.iter().filter(|place| place.address == address) {
                match place.number {
                    Some(number) => {
                        ensure!(number <= count, "{address:#x} runs {count} times, not {number} times");
                        attacks.push((address, number));
                    }
                    None => attacks.extend(numbers(count).into_iter().map(|number| (address, number))),
                }
            }
        }
        for place in &arguments.at {
            let address = place.address;
            ensure!(executed.iter().any(|(at, ..)| *at == address), "no instruction runs at {address:#x}");
        }
        ensure!(!attacks.is_empty(), "none of these functions runs in this case");
        let executed = executed.iter().map(|(address, ..)| *address).collect();
        Ok(Self { executed, attacks, joints: joints(trace, loader) })
    }
}

fn joints(trace: &Trace, loader: &Loader) -> Vec<u32> {
    let mut candidates: Vec<_> = trace
        .executed
        .iter()
        .filter(|(address, count, ..)| *count <= JOINT_RUNS_MAX && loader.begins_a_function(*address))
        .map(|(address, _, first, _)| (*first, *address))
        .collect();
    candidates.sort_unstable();
    let (mut joints, mut next) = (Vec::new(), 0);
    for (first, address) in candidates {
        if first >= next {
            joints.push(address);
            next = first + trace.steps / JOINTS;
        }
    }
    joints
}

/// The first, the second and the last of so many.
fn numbers(count: u32) -> BTreeSet<u32> {
    [1, 2, count].into_iter().filter(|number| *number <= count).collect()
}

fn decides(name: &str) -> bool {
    let name = name.trim_start_matches('<');
    DECIDING.iter().any(|part| name.starts_with(part)) && !COMPUTING.iter().any(|part| name.starts_with(part))
}
