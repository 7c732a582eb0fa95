//! What happens when a step fails: the failure climbs to what skips or catches it, or ends the run.

use super::{
    Mark, Notice, Scheduler, Site, StepPath, Verdict,
    attempts::JobId,
    scope::{ScopeId, Scopes},
    tree::{Active, Instance, InstanceId, State},
};
use crate::{
    expr::Scope,
    graph::catch_name,
    limits::OnMiss,
    source::Span,
    step,
    value::Value,
    wire::{Failure, Kind},
};
use std::collections::{BTreeMap, BTreeSet};

/// A part of what is under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Part {
    /// All of it.
    All,
    /// What is below a node, which itself stays.
    Below(Site),
    /// A region as it was entered once.
    Region(InstanceId),
}

impl Scheduler<'_> {
    /// A node failed. The failure climbs to a scope that skips what missed its limit or to a `try` that catches it, or
    /// else ends the run.
    pub(super) fn fail(&mut self, site: impl Into<Option<Site>>, step: StepPath, failure: Failure) {
        let site = site.into();
        let span = site.and_then(|site| self.node(site)).map_or(self.graph.span, |node| node.span);
        self.fail_at(site, span, step, failure);
    }

    /// What stands at `span`, in the node at `site` or outside of all, failed.
    pub(super) fn fail_at(&mut self, site: Option<Site>, span: Span, step: StepPath, failure: Failure) {
        if self.verdict.is_some() {
            return;
        }
        let mut at = site;
        let limit = site.and_then(|site| self.reached_limit(site)).filter(|_| failure.kind.is_limit());
        let skipped = site
            .and_then(|site| self.active.get(&site))
            .is_some_and(|active| active.path == step && self.skips(active.scope, failure.kind));
        if !skipped {
            self.note(Notice::StepFailed { step: step.clone(), failure: failure.clone() });
        }
        while let Some(site) = at {
            if let Some(active) = self.active.get(&site)
                && self.skips(active.scope, failure.kind)
            {
                let message = format!("it was skipped: {}", failure.message);
                self.mark(active.path.clone(), message);
                self.clear(Part::Below(site));
                self.end(site, Value::None);
                return;
            }
            if self.catch(site, limit, &step, &failure) {
                return;
            }
            if self.fail_steps(site.instance, limit, &failure) {
                return;
            }
            at = self.instances.get(&site.instance).and_then(|instance| instance.owner).map(|(owner, _)| owner);
        }
        if self.skips(Scopes::ROOT, failure.kind) {
            self.mark(StepPath(self.graph.workflow.clone()), format!("it was skipped: {}", failure.message));
            self.conclude(Verdict::Succeeded { value: Value::None, marks: Vec::new() });
            return;
        }
        self.conclude(Verdict::Failed { step, span, failure });
    }

    /// The scope of the limit that was reached at a node or around it.
    fn reached_limit(&self, site: Site) -> Option<ScopeId> {
        let scope = match self.active.get(&site) {
            Some(active) => active.scope,
            None => self.instances.get(&site.instance)?.scope,
        };
        self.scopes.missed(scope).map(|(limit, _)| limit)
    }

    /// Lets a `try` go on with what follows the failure that was met inside it. A limit can be caught where it was met:
    /// beyond its own scope there is no more time or money to go on with.
    fn catch(&mut self, site: Site, limit: Option<ScopeId>, step: &StepPath, failure: &Failure) -> bool {
        let Some(Active { path, scope, state: State::Try(catches, inherited) }) = self.active.get(&site) else {
            return false;
        };
        let found = catches.iter().enumerate().find(|(_, catch)| catch.kinds.contains(&failure.kind));
        let Some((index, catch)) = found.filter(|_| limit.is_none_or(|limit| self.is_inside(limit, *scope))) else {
            return false;
        };
        let (path, scope, inherited) = (path.clone(), *scope, inherited.clone());
        self.clear(Part::Below(site));
        if let Some(active) = self.active.get_mut(&site) {
            active.state = State::Region;
        }
        self.scopes.lift(scope);
        self.note(Notice::StepCaught { step: path.clone(), failed: step.clone(), kind: failure.kind });
        let mut env = Scope::default();
        catch.error.into_iter().for_each(|var| env.set(var, step::told(&step.0, failure)));
        let path = format!("{path}/{}", catch_name(index));
        self.enter_one(site, &catch.body, path, scope, inherited, env);
        true
    }

    fn skips(&self, scope: ScopeId, kind: Kind) -> bool {
        let missed = self.scopes.get(scope).is_some_and(|scope| scope.missed == Some(kind));
        missed && self.on_miss_of(scope, kind) == Some(OnMiss::Skip)
    }

    /// Says that a result is less than what was asked for.
    pub(super) fn mark(&mut self, scope: StepPath, message: String) {
        self.note(Notice::Limit { scope: scope.clone(), message: message.clone() });
        self.marks.push(Mark { scope, message });
    }

    /// Stops and forgets what is under way in a part of the tree.
    pub(super) fn clear(&mut self, part: Part) {
        let gone = |instance: InstanceId, instances: &BTreeMap<InstanceId, Instance>| {
            let owner = |id: &InstanceId| instances.get(id).and_then(|instance| instance.owner).map(|(site, _)| site);
            let mut around = std::iter::successors(Some(instance), |id| owner(id).map(|site| site.instance));
            match part {
                Part::All => true,
                Part::Below(site) => around.any(|id| owner(&id) == Some(site)),
                Part::Region(region) => around.any(|id| id == region),
            }
        };
        let jobs: Vec<JobId> = self
            .jobs
            .iter()
            .filter(|(_, job)| {
                job.site().is_some_and(|site| part == Part::Below(site) || gone(site.instance, &self.instances))
            })
            .map(|(id, _)| *id)
            .collect();
        jobs.into_iter().for_each(|job| self.drop_job(job));
        let instances: BTreeSet<InstanceId> =
            self.instances.keys().copied().filter(|id| gone(*id, &self.instances)).collect();
        let within = |site: &Site| instances.contains(&site.instance);
        self.ready.retain(|site| !within(site));
        let sources: Vec<Site> = self.active.keys().copied().filter(within).collect();
        sources.into_iter().for_each(|site| self.remove_source(site));
        let mut scopes: Vec<ScopeId> = Vec::new();
        for (site, active) in &self.active {
            if within(site) {
                scopes.push(active.scope);
            }
            if let State::Search(trials) = &active.state
                && (within(site) || part == Part::Below(*site))
            {
                scopes.extend(trials.scopes());
            }
        }
        self.active.retain(|site, _| !within(site));
        scopes.sort();
        scopes.into_iter().rev().for_each(|scope| drop(self.close(scope)));
        for id in instances {
            self.instances.remove(&id);
        }
    }
}
