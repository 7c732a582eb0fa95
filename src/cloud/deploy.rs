//! From what a workflow needs to what is there.

use super::{
    Change, Cloud, CloudError, Executions, Worker,
    account::Names,
    bucket::Bucket,
    function::{Code, Function},
    logs::LogGroup,
    machine::{self, Machine},
    project::Project,
    resource::{Found, Resource, Tags},
    role::Role,
};
use crate::{
    stack::{self, PREFIX, Stack},
    step::Param,
    store::Remote,
    types::Type,
    value::Hash,
};
use base64::{Engine, prelude::BASE64_STANDARD};
use http::Method;
use ring::digest::{SHA256, digest};
use serde::{Deserialize, Serialize};
use serde_json::Value as Json;
use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
};

/// Where a bucket keeps what was deployed.
const RECORD: &str = "deployment.json";

/// What was deployed of a workflow.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Record {
    /// The workflow file's name.
    pub file: String,
    /// The workflow.
    pub workflow: String,
    /// Its parameters.
    pub params: Vec<Param>,
    /// The type of its result.
    pub output: Type,
    /// The files of the project that went along.
    files: BTreeMap<String, Hash>,
    /// The names of functions, with the groups of their logs.
    functions: BTreeMap<String, String>,
    /// The names of the state machines.
    machines: BTreeSet<String>,
}

impl Record {
    /// What was deployed, if anything was.
    ///
    /// # Errors
    /// When the cloud does not tell.
    pub fn read(cloud: &Cloud, names: &Names) -> Result<Option<Self>, CloudError> {
        if cloud.about_bucket("ListBucket", Method::HEAD, &names.bucket, "", "")?.is_none() {
            return Ok(None);
        }
        let bytes = cloud.objects(&names.bucket)?.get(RECORD)?;
        Ok(bytes.and_then(|bytes| serde_json::from_slice(&bytes).ok()))
    }

    fn write(&self, objects: &Remote) -> Result<(), CloudError> {
        Ok(objects.put(RECORD, serde_json::to_vec(self).unwrap_or_default().into())?)
    }
}

/// What is deployed, and how.
pub struct Order<'a> {
    /// The name of the workflow in the cloud.
    pub name: &'a str,
    /// The workflow file's name.
    pub file: &'a str,
    /// The workflow's parameters.
    pub params: &'a [Param],
    /// The type of its result.
    pub output: &'a Type,
    /// What it needs.
    pub stack: &'a Stack,
    /// The files that go along.
    pub project: Project,
    /// The program of the functions.
    pub worker: &'a Worker,
    /// The image of those that run commands.
    pub image: Option<&'a str>,
    /// Whether what others have changed is overwritten.
    pub force: bool,
}

/// What is to be done with something.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Planned {
    /// What it is.
    pub kind: &'static str,
    /// Its name.
    pub name: String,
    /// What is to be done; what is no longer needed is removed.
    pub change: Option<Change>,
}

/// A deployment that is planned.
pub struct Deployment {
    workflow: String,
    names: Names,
    resources: Vec<(Box<dyn Resource>, Change)>,
    /// What is no longer needed.
    old: Vec<Box<dyn Resource>>,
    /// The files to send.
    uploads: BTreeMap<String, PathBuf>,
    /// The objects that are no longer needed.
    stale: Vec<String>,
    /// The code of functions, and its place in the bucket.
    code: Option<(String, Vec<u8>)>,
    before: Option<Record>,
    record: Record,
}

impl Deployment {
    /// Finds out what there is to do. Nothing is changed.
    ///
    /// # Errors
    /// When it can't be done, or the cloud does not tell.
    pub fn plan(cloud: &Cloud, order: Order) -> Result<Self, CloudError> {
        let Order { name, stack, force, .. } = order;
        if stack.has_commands() && order.image.is_none() {
            return Err(CloudError::NoImage);
        }
        let names = cloud.names(name);
        let zipped = order.worker.zipped(&stack.book)?;
        let sha256 = digest(&SHA256, &zipped);
        let key = format!("code/{}.zip", Hash::of(&zipped));
        let zip = Code::Zip { bucket: names.bucket.clone(), key: key.clone(), sha256: BASE64_STANDARD.encode(sha256) };
        let all = resources(cloud, &names, &order, &zip);
        let mut resources = Vec::new();
        for resource in all {
            let found = resource.find(cloud)?;
            let change = Change::of(&*resource, found.as_ref(), name, force)?;
            resources.push((resource, change));
        }
        // An entry of its book may mean something else in the new one; machines that it starts have no versions.
        let touches = |(resource, change): &(Box<dyn Resource>, Change)| {
            let is_of_runs =
                resource.kind() == "function" || (resource.kind() == "state machine" && resource.name() != names.stack);
            is_of_runs && *change == Change::Update
        };
        if !force
            && resources.iter().any(touches)
            && let Some(run) = Executions(cloud).under_way(&names.stack)?
        {
            return Err(CloudError::UnderWay(run));
        }
        let objects = cloud.objects(&names.bucket)?;
        let is_new =
            resources.iter().any(|(resource, change)| resource.kind() == "bucket" && *change == Change::Create);
        let before = if is_new { None } else { Record::read(cloud, &names)? };
        if let Some(before) = &before
            && before.file != order.file
            && !force
        {
            return Err(CloudError::OtherFile { name: name.to_owned(), file: before.file.clone() });
        }
        let listed = if is_new { Vec::new() } else { objects.list("")? };
        let there: BTreeSet<String> = listed.into_iter().map(|entry| entry.key).collect();
        let sent = before.as_ref().map(|before| before.files.clone()).unwrap_or_default();
        let is_there = |path: &String, hash: &Hash| {
            sent.get(path) == Some(hash) && there.contains(&format!("{PREFIX}/project/{path}"))
        };
        let record = Record {
            file: order.file.to_owned(),
            workflow: name.to_owned(),
            params: order.params.to_vec(),
            output: order.output.clone(),
            files: order.project.iter().map(|(path, (_, hash))| (path.clone(), *hash)).collect(),
            functions: stack
                .functions
                .iter()
                .map(|function| (cloud.fill(&names, &function.name()), cloud.fill(&names, &function.log_group())))
                .collect(),
            machines: stack.machines.iter().map(|machine| cloud.fill(&names, &machine.resource_name())).collect(),
        };
        let uploads = order.project.iter().filter(|(path, (_, hash))| !is_there(path, hash));
        let uploads = uploads.map(|(path, (place, _))| (path.clone(), place.clone())).collect();
        let no_longer = sent.keys().filter(|path| !record.files.contains_key(*path));
        let old_code = there.iter().filter(|path| path.starts_with("code/") && **path != key);
        let stale = no_longer.map(|path| format!("{PREFIX}/project/{path}")).chain(old_code.cloned()).collect();
        let sends = stack.functions.iter().any(|function| !function.commands) && !there.contains(&key);
        let old = before.as_ref().map(|before| before.without(&record)).unwrap_or_default();
        Ok(Self {
            workflow: name.to_owned(),
            resources,
            old,
            uploads,
            stale,
            code: sends.then_some((key, zipped)),
            before,
            record,
            names,
        })
    }

    /// What there is to do, thing by thing.
    pub fn changes(&self) -> Vec<Planned> {
        let of = |resource: &dyn Resource, change| Planned {
            kind: resource.kind(),
            name: resource.name().to_owned(),
            change,
        };
        let resources = self.resources.iter().map(|(resource, change)| of(&**resource, Some(*change)));
        let files = self.uploads.keys().map(|path| Planned {
            kind: "file",
            name: path.clone(),
            change: Some(match self.before.as_ref().is_some_and(|before| before.files.contains_key(path)) {
                true => Change::Update,
                false => Change::Create,
            }),
        });
        resources.chain(files).chain(self.old.iter().map(|resource| of(&**resource, None))).collect()
    }

    /// Whether there is nothing to do.
    pub fn is_done(&self) -> bool {
        self.changes().iter().all(|planned| planned.change == Some(Change::Keep)) && self.stale.is_empty()
    }

    /// Does what there is to do, and tells what is done.
    ///
    /// # Errors
    /// When something fails. What is done stays, and the next deployment goes on from there.
    pub fn carry_out(self, cloud: &Cloud, tell: &mut dyn FnMut(&Planned)) -> Result<(), CloudError> {
        let objects = cloud.objects(&self.names.bucket)?;
        let changes = self.changes();
        let mut told = changes.iter();
        for (resource, change) in &self.resources {
            let unfinished = Tags::unfinished(&self.workflow);
            match change {
                Change::Keep => {}
                Change::Create => resource.create(cloud, &unfinished)?,
                Change::Update => {
                    resource.tag(cloud, &unfinished)?;
                    resource.update(cloud)?;
                }
            }
            if *change != Change::Keep {
                resource.tag(cloud, &Tags::finished(&self.workflow, &resource.wanted()))?;
            }
            if resource.kind() == "bucket" {
                // Whatever happens from here on, who removes the deployment finds all of it.
                self.record.with(self.before.as_ref()).write(&objects)?;
                if let Some((key, zipped)) = &self.code {
                    objects.put(key, zipped.clone().into())?;
                }
                for (path, place) in &self.uploads {
                    if !objects.send(&format!("{PREFIX}/project/{path}"), place)? {
                        return Err(CloudError::File(format!("the file `{path}` is gone")));
                    }
                }
            }
            told.next().into_iter().for_each(&mut *tell);
        }
        for resource in &self.old {
            if owned(cloud, &**resource, &self.workflow)? {
                resource.remove(cloud)?;
            }
        }
        told.for_each(tell);
        objects.remove(&self.stale)?;
        self.record.write(&objects)
    }

    /// What executions are started by.
    pub fn alias(&self, cloud: &Cloud) -> String {
        format!("{}:{}", machine::arn(cloud, &self.names.stack), machine::LIVE)
    }
}

impl Record {
    /// With all that was there before. The files of before may have gone, and are sent again.
    fn with(&self, before: Option<&Self>) -> Self {
        let mut both = self.clone();
        both.files.clear();
        if let Some(before) = before {
            both.functions.extend(before.functions.clone());
            both.machines.extend(before.machines.iter().cloned());
            let stay = before.files.iter().filter(|(path, hash)| self.files.get(*path).is_none_or(|new| new == *hash));
            both.files = stay.map(|(path, hash)| (path.clone(), *hash)).collect();
        }
        both
    }

    /// What there is that `other` does not have.
    fn without(&self, other: &Self) -> Vec<Box<dyn Resource>> {
        let machines = self.machines.iter().filter(|name| !other.machines.contains(*name));
        let functions = self.functions.iter().filter(|(name, _)| !other.functions.contains_key(*name));
        named(machines.cloned(), functions.map(|(name, logs)| (name.clone(), logs.clone())))
    }
}

/// Things by their names alone, to be removed in this order.
fn named(
    machines: impl Iterator<Item = String>,
    functions: impl Iterator<Item = (String, String)>,
) -> Vec<Box<dyn Resource>> {
    let machines = machines.map(|name| Box::new(Machine { name, ..Machine::default() }) as Box<dyn Resource>);
    let functions = functions.flat_map(|(name, logs)| {
        let function: Box<dyn Resource> = Box::new(Function { name, ..Function::default() });
        [function, Box::new(LogGroup { name: logs, days: 0 })]
    });
    machines.chain(functions).collect()
}

fn role_name(cloud: &Cloud, names: &Names, role: stack::Role) -> String {
    // Roles are known in all regions.
    let end = match role {
        stack::Role::Machine => "machine",
        stack::Role::Worker => "worker",
    };
    format!("{}-{}-{end}", names.stack, cloud.region)
}

/// Whether something is there, and is the workflow's.
fn owned(cloud: &Cloud, resource: &dyn Resource, workflow: &str) -> Result<bool, CloudError> {
    let found: Option<Found> = resource.find(cloud)?;
    Change::of(resource, found.as_ref(), workflow, true).map(|change| change != Change::Create)
}

/// All that a workflow needs, in the order in which it is made.
fn resources(cloud: &Cloud, names: &Names, order: &Order, zip: &Code) -> Vec<Box<dyn Resource>> {
    let stack = order.stack;
    let fill = |text: &str| cloud.fill(names, text);
    let [worker, machine] = stack::Role::ALL.map(|role| Role {
        name: role_name(cloud, names, role),
        trust: role.trust(),
        policy: cloud.filled(names, &role.policy(stack)),
    });
    let (worker_arn, machine_arn) = (worker.arn(cloud), machine.arn(cloud));
    let mut all: Vec<Box<dyn Resource>> =
        vec![Box::new(Bucket { name: names.bucket.clone(), days: stack::DAYS }), Box::new(worker)];
    for function in &stack.functions {
        // Lambda writes its logs into the group of that name, and makes one that keeps them for ever where there is none.
        all.push(Box::new(LogGroup { name: fill(&function.log_group()), days: stack::DAYS }));
        let image = order.image.filter(|_| function.commands);
        all.push(Box::new(Function {
            name: fill(&function.name()),
            memory: function.memory,
            timeout: stack::TIMEOUT,
            disk: stack::DISK,
            role: worker_arn.clone(),
            environment: cloud.filled(names, &Stack::environment()),
            code: image.map_or_else(|| zip.clone(), |image| Code::Image(image.to_owned())),
            architecture: order.worker.architecture().to_owned(),
        }));
    }
    all.push(Box::new(machine));
    // Those that others start come first.
    for definition in stack.machines.iter().rev() {
        let functions = stack.functions.iter().map(|function| (function.logical(), fill(&function.arn())));
        let machines = stack.machines.iter().map(|machine| (machine.name.clone(), fill(&machine.arn())));
        let known = functions.chain(machines);
        let text = known.fold(definition.text.clone(), |text, (name, arn)| text.replace(&format!("${{{name}}}"), &arn));
        all.push(Box::new(Machine {
            name: fill(&definition.resource_name()),
            definition: text,
            role: machine_arn.clone(),
        }));
    }
    all
}

/// What is to be removed of a workflow.
pub struct Removal {
    workflow: String,
    resources: Vec<Box<dyn Resource>>,
}

impl Removal {
    /// Finds what there is.
    ///
    /// # Errors
    /// When the cloud does not tell, or something is not the workflow's.
    pub fn plan(cloud: &Cloud, workflow: &str) -> Result<Self, CloudError> {
        let names = cloud.names(workflow);
        let record = Record::read(cloud, &names)?;
        let (machines, functions) = record.map(|record| (record.machines, record.functions)).unwrap_or_default();
        let mut all = named(machines.into_iter(), functions.into_iter());
        for role in stack::Role::ALL {
            let name = role_name(cloud, &names, role);
            all.push(Box::new(Role { name, trust: Json::Null, policy: Json::Null }));
        }
        all.push(Box::new(Bucket { name: names.bucket, days: 0 }));
        let mut resources = Vec::new();
        for resource in all {
            if owned(cloud, &*resource, workflow)? {
                resources.push(resource);
            }
        }
        Ok(Self { workflow: workflow.to_owned(), resources })
    }

    /// What there is to remove.
    pub fn changes(&self) -> Vec<Planned> {
        let of =
            |resource: &dyn Resource| Planned { kind: resource.kind(), name: resource.name().to_owned(), change: None };
        self.resources.iter().map(|resource| of(&**resource)).collect()
    }

    /// The workflow.
    pub fn workflow(&self) -> &str {
        &self.workflow
    }

    /// Removes all of it, and tells what is gone.
    ///
    /// # Errors
    /// When a run is under way, or something can't be removed; the next removal goes on from there.
    pub fn carry_out(self, cloud: &Cloud, tell: &mut dyn FnMut(&Planned)) -> Result<(), CloudError> {
        if let Some(run) = Executions(cloud).under_way(&cloud.names(&self.workflow).stack)? {
            return Err(CloudError::UnderWay(run));
        }
        for (resource, planned) in self.resources.iter().zip(self.changes()) {
            resource.remove(cloud)?;
            tell(&planned);
        }
        Ok(())
    }
}
