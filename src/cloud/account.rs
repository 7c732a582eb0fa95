use super::{
    error::{CloudError, causes},
    signed::Service,
    xml,
};
use crate::store::Remote;
use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_sdk_lambda::{config::ProvideCredentials, error::ProvideErrorMetadata, error::SdkError};
use aws_smithy_http_client::{
    Builder,
    tls::{Provider, rustls_provider::CryptoMode},
};
use object_store::{
    ClientOptions,
    aws::AwsCredential,
    client::{HttpClient, HttpConnector, ReqwestConnector},
};
use serde_json::Value as Json;
use std::time::Duration;
use tokio::runtime::{self, Runtime};

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_mins(2);
/// How long to try again what may pass by itself.
const RETRY: Duration = Duration::from_secs(20);

/// Whose cloud, and where.
#[derive(Clone, Debug, Default)]
pub struct Access {
    /// The profile of the files that the `aws` program keeps.
    pub profile: Option<String>,
    /// The region.
    pub region: Option<String>,
    /// The address of what stands for AWS.
    pub endpoint: Option<String>,
}

/// An account of AWS in one region.
pub struct Cloud {
    runtime: Runtime,
    config: SdkConfig,
    http: HttpClient,
    /// The functions' service.
    pub lambda: aws_sdk_lambda::Client,
    /// The state machines' service.
    pub states: aws_sdk_sfn::Client,
    /// The region.
    pub region: String,
    /// The account's number.
    pub account: String,
    /// What stands for AWS, without a slash at its end.
    pub(super) endpoint: Option<String>,
}

impl Cloud {
    /// Finds out where the cloud is and who asks.
    ///
    /// # Errors
    /// When that is not known, or the cloud does not answer.
    pub fn open(access: &Access) -> Result<Self, CloudError> {
        // What reads credentials looks for the choice of the process; it is no harm to have chosen before.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let unusable = |reason: String| CloudError::Unreachable { place: "the network".into(), reason };
        let runtime = runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
        let runtime = runtime.map_err(|error| unusable(error.to_string()))?;
        let client = Builder::new().tls_provider(Provider::Rustls(CryptoMode::Ring)).build_https();
        let mut loader = aws_config::defaults(BehaviorVersion::latest()).http_client(client);
        if let Some(profile) = &access.profile {
            loader = loader.profile_name(profile);
        }
        if let Some(region) = &access.region {
            loader = loader.region(Region::new(region.clone()));
        }
        if let Some(endpoint) = &access.endpoint {
            loader = loader.endpoint_url(endpoint);
        }
        let config = runtime.block_on(loader.load());
        let region = config.region().ok_or(CloudError::NoRegion)?.to_string();
        let options = ClientOptions::new().with_timeout(PATIENCE).with_allow_http(true);
        let http = runtime.block_on(async { ReqwestConnector::default().connect(&options) });
        let endpoint = config.endpoint_url().map(|endpoint| endpoint.trim_end_matches('/').to_owned());
        let mut this = Self {
            lambda: aws_sdk_lambda::Client::new(&config),
            states: aws_sdk_sfn::Client::new(&config),
            http: http.map_err(|error| unusable(error.to_string()))?,
            runtime,
            config,
            region,
            account: String::new(),
            endpoint,
        };
        let caller = this.query(Service::Sts, "GetCallerIdentity", &[])?;
        this.account = xml::text(&caller, "Account").unwrap_or_default();
        Ok(this)
    }

    /// The family of regions that this one is of, as names in the whole world have it.
    pub fn partition(&self) -> &'static str {
        match &*self.region {
            region if region.starts_with("cn-") => "aws-cn",
            region if region.starts_with("us-gov-") => "aws-us-gov",
            _ => "aws",
        }
    }

    /// Where it is, for people.
    pub fn place(&self) -> String {
        format!("account {}, {}", self.account, self.region)
    }

    /// Waits for an answer.
    pub fn wait<T>(&self, answer: impl Future<Output = T>) -> T {
        self.runtime.block_on(answer)
    }

    /// Waits for the answer to a call of a service.
    pub fn ask<T, E, R>(
        &self,
        action: &str,
        answer: impl Future<Output = Result<T, SdkError<E, R>>>,
    ) -> Result<T, CloudError>
    where
        E: std::error::Error + ProvideErrorMetadata + 'static,
        R: std::fmt::Debug + 'static,
    {
        self.wait(answer).map_err(|error| match error.as_service_error() {
            Some(refused) => CloudError::answered(
                action,
                refused.code().unwrap_or("an unknown error"),
                refused.message().unwrap_or_default(),
            ),
            None => CloudError::Unreachable { place: self.whom(action), reason: causes(&error) },
        })
    }

    /// Whom an action is asked of.
    pub(super) fn whom(&self, action: &str) -> String {
        let service = action.split(':').next().unwrap_or(action);
        match &self.endpoint {
            Some(endpoint) => format!("`{endpoint}`"),
            None => format!("AWS ({service} in {})", self.region),
        }
    }

    /// Who asks.
    pub(super) fn credential(&self) -> Result<AwsCredential, CloudError> {
        let provider = self.config.credentials_provider();
        let provider = provider.ok_or_else(|| CloudError::NoCredentials("there is nothing to look in".into()))?;
        let found = self.wait(provider.provide_credentials());
        let found = found.map_err(|error| CloudError::NoCredentials(causes(&error)))?;
        Ok(AwsCredential {
            key_id: found.access_key_id().to_owned(),
            secret_key: found.secret_access_key().to_owned(),
            token: found.session_token().map(str::to_owned),
        })
    }

    pub(super) const fn http(&self) -> &HttpClient {
        &self.http
    }

    /// The objects of a bucket.
    ///
    /// # Errors
    /// When nobody says who asks.
    pub fn objects(&self, bucket: &str) -> Result<Remote, CloudError> {
        let AwsCredential { key_id, secret_key, token } = self.credential()?;
        let known = [
            ("AWS_ACCESS_KEY_ID", Some(key_id)),
            ("AWS_SECRET_ACCESS_KEY", Some(secret_key)),
            ("AWS_SESSION_TOKEN", token),
            ("AWS_REGION", Some(self.region.clone())),
            ("AWS_ENDPOINT_URL", self.endpoint.clone()),
        ];
        let environment = known.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?)));
        Ok(Remote::in_bucket(bucket, "", environment, RETRY)?)
    }

    /// Fills in what is known of the account, in all texts of a value.
    pub fn filled(&self, names: &Names, json: &Json) -> Json {
        match json {
            Json::String(text) => self.fill(names, text).into(),
            Json::Array(items) => items.iter().map(|item| self.filled(names, item)).collect(),
            Json::Object(fields) => {
                fields.iter().map(|(name, field)| (name.clone(), self.filled(names, field))).collect()
            }
            other => other.clone(),
        }
    }

    /// Fills in what is known of the account.
    pub fn fill(&self, names: &Names, text: &str) -> String {
        let known = [
            ("${AWS::Partition}", self.partition()),
            ("${AWS::Region}", &self.region),
            ("${AWS::AccountId}", &self.account),
            ("${AWS::StackName}", &names.stack),
            ("${Bucket}", &names.bucket),
        ];
        known.iter().fold(text.to_owned(), |text, (name, value)| text.replace(name, value))
    }

    /// The names of what a workflow has here.
    pub fn names(&self, workflow: &str) -> Names {
        let stack = stack_name(workflow);
        Names { bucket: self.bucket_of(&stack), stack }
    }

    /// The bucket of what has a main state machine of this name.
    pub fn bucket_of(&self, stack: &str) -> String {
        format!("{stack}-{}-{}", self.account, self.region)
    }
}

/// What a workflow's things are called by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Names {
    /// What all names begin with, which is the main state machine's.
    pub stack: String,
    /// The bucket.
    pub bucket: String,
}

/// The most letters of a workflow's name that leave a bucket's name short enough.
const LONGEST: usize = 30;

/// A workflow's name among those of the cloud, where buckets know neither large letters nor underscores. Where it has to
/// be another, its hash keeps it apart.
fn stack_name(workflow: &str) -> String {
    let letter = |letter: char| if letter.is_ascii_alphanumeric() { letter.to_ascii_lowercase() } else { '-' };
    let plain: String = workflow.chars().map(letter).collect();
    if plain == workflow && plain.len() <= LONGEST {
        return format!("smlt-{plain}");
    }
    let hash = blake3::hash(workflow.as_bytes()).to_hex();
    let plain: String = plain.chars().take(LONGEST - 7).collect();
    format!("smlt-{}-{}", plain.trim_matches('-'), &hash[..6])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_short_and_apart() {
        assert_eq!(stack_name("main"), "smlt-main");
        let (first, second) = (stack_name("Main"), stack_name("nightly_run"));
        assert!(first.starts_with("smlt-main-"), "{first}");
        assert!(second.starts_with("smlt-nightly-run-"), "{second}");
        let long = stack_name(&"a".repeat(80));
        assert!(long.len() <= 35, "{long}");
        assert_ne!(long, stack_name(&"a".repeat(81)));
    }
}
