use super::{
    Cloud, CloudError,
    resource::{Found, Resource, Tags},
};
use aws_sdk_lambda::{
    operation::get_function::GetFunctionOutput,
    types::{Architecture, Environment, EphemeralStorage, FunctionCode, LastUpdateStatus, PackageType, Runtime, State},
};
use serde_json::{Map, Value as Json, json};
use std::{
    collections::HashMap,
    thread,
    time::{Duration, Instant},
};

/// How long a function may take to be there, and a role to be known to other services.
const PATIENCE: Duration = Duration::from_mins(3);
const PAUSE: Duration = Duration::from_millis(500);

/// A function of workers.
#[derive(Default)]
pub struct Function {
    /// Its name.
    pub name: String,
    /// Its memory, in MiB.
    pub memory: u64,
    /// The seconds that a call may take.
    pub timeout: u32,
    /// The MiB of its own disk.
    pub disk: u32,
    /// The role that it takes.
    pub role: String,
    /// Its environment.
    pub environment: Json,
    /// What it is made of.
    pub code: Code,
    /// The processors that it runs on, as Lambda calls them.
    pub architecture: String,
}

/// What a function is made of.
#[derive(Clone, Debug)]
pub enum Code {
    /// An object of a bucket, with the hash of it as Lambda writes that.
    Zip {
        /// The bucket.
        bucket: String,
        /// Its place there.
        key: String,
        /// Its SHA-256 in Base64.
        sha256: String,
    },
    /// An image.
    Image(String),
}

impl Default for Code {
    fn default() -> Self {
        Self::Image(String::new())
    }
}

impl Function {
    fn ready(&self, cloud: &Cloud) -> Result<(), CloudError> {
        let since = Instant::now();
        loop {
            let asked = cloud.lambda.get_function_configuration().function_name(&self.name).send();
            let is = cloud.ask("lambda:GetFunctionConfiguration", asked)?;
            let reason = || is.state_reason().or(is.last_update_status_reason()).unwrap_or_default().to_owned();
            let failed =
                is.state() == Some(&State::Failed) || is.last_update_status() == Some(&LastUpdateStatus::Failed);
            let busy =
                is.state() == Some(&State::Pending) || is.last_update_status() == Some(&LastUpdateStatus::InProgress);
            if failed || (busy && since.elapsed() > PATIENCE) {
                let code = if failed { "it failed" } else { "it is not ready" };
                let action = format!("lambda: the function {}", self.name);
                return Err(CloudError::Refused { action, code: code.into(), message: reason() });
            }
            if !busy {
                return Ok(());
            }
            thread::sleep(PAUSE);
        }
    }

    fn environment(&self) -> Environment {
        let variables = self.environment.as_object().into_iter().flatten();
        let variables: HashMap<String, String> =
            variables.map(|(name, value)| (name.clone(), value.as_str().unwrap_or_default().to_owned())).collect();
        Environment::builder().set_variables(Some(variables)).build()
    }

    fn content(found: &GetFunctionOutput) -> Json {
        let Some(is) = found.configuration() else { return Json::Null };
        let variables = is.environment().and_then(|environment| environment.variables()).into_iter().flatten();
        let variables: Map<String, Json> = variables.map(|(name, value)| (name.clone(), json!(value))).collect();
        let code = match is.package_type() {
            Some(PackageType::Image) => found.code().and_then(|code| code.image_uri()),
            _ => is.code_sha256(),
        };
        json!({
            "memory": is.memory_size(),
            "timeout": is.timeout(),
            "disk": is.ephemeral_storage().map(|disk| disk.size()),
            "role": is.role(),
            "environment": variables,
            "code": code,
            "architecture": is.architectures().first().map(|architecture| architecture.as_str()),
        })
    }
}

/// What services say of a role that was just made and is not known to them yet, or not all that it is allowed.
const NOT_YET: [&str; 2] = ["assume", "managed-rule"];

/// Does something again while a role that was just made is not known yet.
pub fn with_new_role<T>(mut act: impl FnMut() -> Result<T, CloudError>) -> Result<T, CloudError> {
    let since = Instant::now();
    loop {
        match act() {
            Err(CloudError::Refused { message, .. } | CloudError::Denied { message, .. })
                if NOT_YET.iter().any(|words| message.contains(words)) && since.elapsed() < PATIENCE =>
            {
                thread::sleep(PAUSE);
            }
            done => return done,
        }
    }
}

impl Resource for Function {
    fn kind(&self) -> &'static str {
        "function"
    }

    fn name(&self) -> &str {
        &self.name
    }

    fn wanted(&self) -> Json {
        let code = match &self.code {
            Code::Zip { sha256, .. } => sha256,
            Code::Image(uri) => uri,
        };
        json!({
            "memory": self.memory,
            "timeout": self.timeout,
            "disk": self.disk,
            "role": self.role,
            "environment": self.environment,
            "code": code,
            "architecture": self.architecture,
        })
    }

    fn find(&self, cloud: &Cloud) -> Result<Option<Found>, CloudError> {
        let asked = cloud.lambda.get_function().function_name(&self.name).send();
        match cloud.ask("lambda:GetFunction", asked) {
            Err(error) if error.is("ResourceNotFoundException") => Ok(None),
            Err(error) => Err(error),
            Ok(found) => {
                let content = Self::content(&found);
                let tags = found.tags.unwrap_or_default().into_iter().collect();
                Ok(Some(Found { tags, content }))
            }
        }
    }

    fn create(&self, cloud: &Cloud, tags: &Tags) -> Result<(), CloudError> {
        let mut create = cloud
            .lambda
            .create_function()
            .function_name(&self.name)
            .memory_size(self.memory as i32)
            .timeout(self.timeout as i32)
            .ephemeral_storage(disk(self.disk))
            .role(&self.role)
            .environment(self.environment())
            .architectures(Architecture::from(&*self.architecture));
        for (key, value) in tags.pairs() {
            create = create.tags(key, value);
        }
        let create = match &self.code {
            Code::Zip { bucket, key, .. } => create
                .runtime(Runtime::Providedal2023)
                .handler("bootstrap")
                .code(FunctionCode::builder().s3_bucket(bucket).s3_key(key).build()),
            Code::Image(uri) => {
                create.package_type(PackageType::Image).code(FunctionCode::builder().image_uri(uri).build())
            }
        };
        with_new_role(|| cloud.ask("lambda:CreateFunction", create.clone().send()))?;
        self.ready(cloud)
    }

    fn update(&self, cloud: &Cloud) -> Result<(), CloudError> {
        self.ready(cloud)?;
        let code = cloud
            .lambda
            .update_function_code()
            .function_name(&self.name)
            .architectures(Architecture::from(&*self.architecture));
        let code = match &self.code {
            Code::Zip { bucket, key, .. } => code.s3_bucket(bucket).s3_key(key),
            Code::Image(uri) => code.image_uri(uri),
        };
        cloud.ask("lambda:UpdateFunctionCode", code.send())?;
        self.ready(cloud)?;
        let update = cloud
            .lambda
            .update_function_configuration()
            .function_name(&self.name)
            .memory_size(self.memory as i32)
            .timeout(self.timeout as i32)
            .ephemeral_storage(disk(self.disk))
            .role(&self.role)
            .environment(self.environment());
        with_new_role(|| cloud.ask("lambda:UpdateFunctionConfiguration", update.clone().send()))?;
        self.ready(cloud)
    }

    fn tag(&self, cloud: &Cloud, tags: &Tags) -> Result<(), CloudError> {
        let (partition, region, account) = (cloud.partition(), &cloud.region, &cloud.account);
        let arn = format!("arn:{partition}:lambda:{region}:{account}:function:{}", self.name);
        let mut tag = cloud.lambda.tag_resource().resource(arn);
        for (key, value) in tags.pairs() {
            tag = tag.tags(key, value);
        }
        cloud.ask("lambda:TagResource", tag.send()).map(drop)
    }

    fn remove(&self, cloud: &Cloud) -> Result<(), CloudError> {
        let asked = cloud.lambda.delete_function().function_name(&self.name).send();
        cloud.ask("lambda:DeleteFunction", asked).map(drop)
    }
}

fn disk(size: u32) -> EphemeralStorage {
    // The size is given, which is all that it takes.
    EphemeralStorage::builder().size(size as i32).build().expect("a disk with a size is one")
}
