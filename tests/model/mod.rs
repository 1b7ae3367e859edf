//! The executable form of `docs/protocol.md`: writers that store and commit, owners that mark, doom and sweep,
//! beside each other, with anything delayed and anybody gone at any moment. Rule numbers are those of the document.

pub mod index;
pub mod owner;
pub mod rules;
pub mod scenario;
pub mod world;
pub mod writer;

use stateright::{Model, Property};

use self::owner::OwnerStep;
use self::rules::Rules;
use self::scenario::Scenario;
use self::world::{At, Name, OLD_SNAPSHOT, Put, SNAPSHOTS, World, has, snapshot_of};
use self::writer::WriterStep;

/// What must never be lost.
pub const KEPT: &str = "every committed snapshot that is not purged resolves its chunk";
/// What may be told.
pub const TOLD: &str = "a backup that told of success has a snapshot that counts";
/// Not everything is kept by never deleting.
pub const DELETES: &str = "a pack is deleted beside a committed snapshot that stays";
/// Not everything is kept by never finishing.
pub const COMMITS: &str = "a writer reports success";

/// The protocol under some rules, within some bounds.
#[derive(Clone)]
pub struct Protocol {
    /// The rules that are followed.
    pub rules: Rules,
    /// The bounds.
    pub scenario: Scenario,
    steps: Vec<Step>,
}

/// Something happens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Step {
    /// With a session.
    Writer(u8, WriterStep),
    /// With an owner.
    Owner(OwnerStep),
    /// A put of a pack that was deleted since takes effect once more.
    PackReturns(u8),
    /// The same of a segment.
    SegmentReturns(u8),
}

impl Protocol {
    /// These rules within these bounds.
    pub fn new(rules: Rules, scenario: Scenario) -> Self {
        let mut protocol = Self { rules, scenario, steps: Vec::new() };
        protocol.steps = scenario.steps(&protocol);
        protocol
    }
}

impl Model for Protocol {
    type State = World;
    type Action = Step;

    fn init_states(&self) -> Vec<World> {
        vec![self.scenario.beginning()]
    }

    fn actions(&self, _: &World, actions: &mut Vec<Step>) {
        actions.extend_from_slice(&self.steps);
    }

    fn next_state(&self, world: &World, step: Step) -> Option<World> {
        match step {
            Step::Writer(session, step) => self.writer(world, usize::from(session), step),
            Step::Owner(step) => self.owner(world, step),
            Step::PackReturns(pack) => {
                let mut next = *world;
                returns(&mut next.packs[usize::from(pack)]).map(|()| next)
            }
            Step::SegmentReturns(segment) => {
                let mut next = *world;
                returns(&mut next.segments[usize::from(segment)].put).map(|()| next)
            }
        }
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            Property::always(KEPT, |_, world: &World| {
                let kept = |snapshot| world.counts(snapshot) && !has(world.journal.purged, snapshot);
                world.resolves() || !(OLD_SNAPSHOT..SNAPSHOTS).any(kept)
            }),
            Property::always(TOLD, |protocol: &Self, world: &World| {
                let told = |session: &usize| world.sessions[*session].at == At::Reported;
                (0..protocol.scenario.sessions()).filter(told).all(|session| world.counts(snapshot_of(session)))
            }),
            Property::sometimes(DELETES, |_, world: &World| {
                let stays = |snapshot| world.names[snapshot] == Name::Committed && !has(world.journal.purged, snapshot);
                world.packs.contains(&Put::Gone) && (OLD_SNAPSHOT..SNAPSHOTS).any(stays)
            }),
            Property::sometimes(COMMITS, |_, world: &World| {
                world.sessions.iter().any(|session| session.at == At::Reported)
            }),
        ]
    }
}

fn returns(put: &mut Put) -> Option<()> {
    (*put == Put::Gone).then(|| *put = Put::Here)
}
