//! What begins next: steps that wait for room, and compounds that have more to give. What the longest way leads through
//! comes first, because all that lies on it must be done one after another (Kelley & Walker, Critical-Path Planning and
//! Scheduling, 1959).

use super::{Scheduler, Site, attempts::JobId, scope::ScopeId, tree::Instance};
use crate::plan::Capacity;
use std::{cmp::Reverse, collections::BTreeMap};

/// How many steps may pass one that waits for more of the machine than is free. Then nothing behind it begins until it
/// does, so that a large step is never kept waiting by small ones for good.
pub(super) const PATIENCE: u32 = 16;

/// How many steps of its items may wait for limits of their own before a compound begins no further item.
const WAITING: u32 = 16;

/// A place in the order of what begins; the least is first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Turn {
    /// The steps on the longest way from here to the end of the run. What is inside of items, rounds or trials stands
    /// where their compound does.
    ahead: Reverse<u64>,
    /// Steps that wait come before compounds, and compounds before those around them: what has begun is ended first.
    stage: Stage,
    /// The steps on the longest way from the step itself.
    own: Reverse<u64>,
    /// The order in which they came.
    number: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Stage {
    Step,
    /// With how many others are around it.
    Compound(Reverse<u32>),
}

/// Those for whom the same room must be free: the nearest scope with a limit on how many may run, and the share of the
/// machine.
pub(super) type Line = (Option<ScopeId>, Capacity);

/// A compound that may have more to begin.
#[derive(Clone, Copy, Debug)]
pub(super) struct Source {
    turn: Turn,
    /// The nearest scope that limits how many may run.
    limit: Option<ScopeId>,
    /// The steps inside that could start but for the machine, or a limit around the compound.
    waiting: u32,
    /// The steps inside that wait in scopes with limits of their own.
    limited: u32,
}

impl Source {
    const fn may_give(&self) -> bool {
        self.waiting == 0 && self.limited < WAITING
    }
}

/// What may begin.
#[derive(Clone, Debug, Default)]
pub(super) struct Queue {
    steps: BTreeMap<Line, BTreeMap<Turn, JobId>>,
    sources: BTreeMap<Option<ScopeId>, BTreeMap<Turn, Site>>,
}

impl Queue {
    pub fn add(&mut self, line: Line, turn: Turn, job: JobId) {
        self.steps.entry(line).or_default().insert(turn, job);
    }

    pub fn remove(&mut self, line: Line, turn: Turn) {
        if let Some(steps) = self.steps.get_mut(&line) {
            steps.remove(&turn);
            if steps.is_empty() {
                self.steps.remove(&line);
            }
        }
    }
}

/// What begins next.
enum Next {
    /// A step, which passes another that waits for more of the machine.
    Step(JobId, Option<JobId>),
    /// A compound is asked for more.
    Source(Site),
}

impl Scheduler<'_> {
    /// Begins what comes next, if anything may begin now.
    pub(super) fn begin_next(&mut self) -> bool {
        while let Some(next) = self.next() {
            match next {
                Next::Step(job, passed) => {
                    passed.into_iter().for_each(|passed| self.pass(passed));
                    self.launch(job);
                    return true;
                }
                Next::Source(site) => {
                    if self.pull_item(site) || self.pull_trial(site) || self.pull_round(site) {
                        return true;
                    }
                    // It is asked again when something in it is over.
                    self.sleep(site);
                }
            }
        }
        false
    }

    fn next(&self) -> Option<Next> {
        let whole = &self.options.capacity;
        let (mut first, mut fitting) = (None, None);
        let earlier = |one: Option<(Turn, JobId)>, other| one.into_iter().chain(other).min();
        for ((limit, held), steps) in &self.queue.steps {
            let Some((turn, job)) = steps.first_key_value().filter(|_| self.has_room(*limit)) else { continue };
            let candidate = Some((*turn, *job));
            first = earlier(first, candidate);
            if held.fits(&self.used, whole) {
                fitting = earlier(fitting, candidate);
            }
        }
        let sources = self.queue.sources.iter().filter(|(limit, _)| self.has_room(**limit));
        let source = sources.filter_map(|(_, sources)| sources.first_key_value()).min();
        let waits = first.filter(|_| first != fitting);
        if let Some((turn, job)) = waits
            && self.jobs.get(&job).is_some_and(|job| job.passed >= PATIENCE)
        {
            return source.filter(|(other, _)| **other < turn).map(|(_, site)| Next::Source(*site));
        }
        match (fitting, source) {
            (Some((turn, _)), Some((other, site))) if *other < turn => Some(Next::Source(*site)),
            (Some((_, job)), _) => Some(Next::Step(job, waits.map(|(_, job)| job))),
            (None, source) => source.map(|(_, site)| Next::Source(*site)),
        }
    }

    fn has_room(&self, limit: Option<ScopeId>) -> bool {
        limit.is_none_or(|limit| self.scopes.has_room(limit))
    }

    fn pass(&mut self, job: JobId) {
        if let Some(job) = self.jobs.get_mut(&job) {
            job.passed += 1;
        }
    }

    /// The turn of a step at a site: where the nearest compound stands that has it in its items, rounds or trials.
    pub(super) fn turn(&mut self, site: Site) -> Turn {
        let own = self.ahead(site);
        let compound = self.inside_out(site).find_map(|site| self.sources.get(&site));
        let ahead = compound.map_or(Reverse(own), |compound| compound.turn.ahead);
        Turn { ahead, stage: Stage::Step, own: Reverse(own), number: self.id() }
    }

    /// The steps on the longest way from a node to the end of the run.
    fn ahead(&self, site: Site) -> u64 {
        let ahead = |instance: &Instance| instance.region.way(site.node).steps().saturating_add(instance.after);
        self.instances.get(&site.instance).map_or(0, ahead)
    }

    /// The steps that follow a node, to the end of the run.
    pub(super) fn after(&self, site: Site) -> u64 {
        let after = |instance: &Instance| instance.region.way(site.node).after.saturating_add(instance.after);
        self.instances.get(&site.instance).map_or(0, after)
    }

    /// A node and those around it, inside out.
    fn inside_out(&self, site: Site) -> impl Iterator<Item = Site> {
        let owner = |site: &Site| self.instances.get(&site.instance)?.owner.map(|(owner, _)| owner);
        std::iter::successors(Some(site), owner)
    }

    /// Puts a job in line. The compounds that it stems from begin nothing more until it has begun.
    pub(super) fn line_up(&mut self, id: JobId) {
        let Some(job) = self.jobs.get(&id) else { return };
        let (line, site) = (job.line, job.site());
        self.queue.add(line, job.turn, id);
        site.into_iter().for_each(|site| self.count(site, line.0, 1));
    }

    /// Takes a job out of its line.
    pub(super) fn step_out(&mut self, id: JobId) {
        let Some(job) = self.jobs.get(&id) else { return };
        let (line, site) = (job.line, job.site());
        self.queue.remove(line, job.turn);
        site.into_iter().for_each(|site| self.count(site, line.0, -1));
    }

    /// Counts a step that waits in a scope with `limit`, or waits no more, for all compounds around it.
    fn count(&mut self, site: Site, limit: Option<ScopeId>, change: i32) {
        let around: Vec<Site> = self.inside_out(site).collect();
        let mut outside = false;
        for site in around {
            if let Some(source) = self.sources.get_mut(&site) {
                let count = if outside { &mut source.limited } else { &mut source.waiting };
                *count = count.saturating_add_signed(change);
                if source.may_give() { self.wake(site) } else { self.sleep(site) }
            }
            outside |= limit.is_some() && self.active.get(&site).map(|active| active.scope) == limit;
        }
    }

    /// Notes a compound that may have more to do.
    pub(super) fn add_source(&mut self, site: Site, scope: ScopeId) {
        let depth = self.inside_out(site).count() as u32;
        let turn = Turn { stage: Stage::Compound(Reverse(depth)), ..self.turn(site) };
        let limit = self.scopes.nearest_parallel(scope);
        self.sources.insert(site, Source { turn, limit, waiting: 0, limited: 0 });
        self.wake(site);
    }

    /// Lets a compound be asked for more, unless what it gave still waits.
    pub(super) fn wake(&mut self, site: Site) {
        let Some(source) = self.sources.get(&site) else { return };
        if source.may_give() {
            self.queue.sources.entry(source.limit).or_default().insert(source.turn, site);
        }
    }

    /// Asks a compound for nothing until it is woken.
    pub(super) fn sleep(&mut self, site: Site) {
        let Some(source) = self.sources.get(&site) else { return };
        if let Some(sources) = self.queue.sources.get_mut(&source.limit) {
            sources.remove(&source.turn);
            if sources.is_empty() {
                self.queue.sources.remove(&source.limit);
            }
        }
    }

    /// A compound has nothing more to do.
    pub(super) fn remove_source(&mut self, site: Site) {
        self.sleep(site);
        self.sources.remove(&site);
    }
}
