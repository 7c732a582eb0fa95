use crate::store::RemoteError;

/// Why something did not work in the cloud.
#[derive(Debug, thiserror::Error)]
pub enum CloudError {
    /// Nobody says who asks.
    #[error("no credentials for AWS were found: {0}")]
    NoCredentials(String),
    /// Who asks is not known there.
    #[error("AWS does not accept the credentials: {0}")]
    BadCredentials(String),
    /// Nobody says where.
    #[error("no region of AWS is set")]
    NoRegion,
    /// There is no answer.
    #[error("{place} can't be reached: {reason}")]
    Unreachable {
        /// Who does not answer.
        place: String,
        /// What happened.
        reason: String,
    },
    /// Who asks may not.
    #[error("the credentials may not do `{action}`: {message}")]
    Denied {
        /// What was to be done, as policies call it.
        action: String,
        /// What AWS says.
        message: String,
    },
    /// AWS does not do it.
    #[error("AWS refuses `{action}`: {code}: {message}")]
    Refused {
        /// What was to be done, as policies call it.
        action: String,
        /// The kind of refusal.
        code: String,
        /// What AWS says.
        message: String,
    },
    /// The objects of a bucket can't be had or kept.
    #[error(transparent)]
    Objects(#[from] RemoteError),
    /// The name belongs to something else.
    #[error("the name `{name}` is taken: the {kind} is not of a deployment of `{workflow}`")]
    Taken {
        /// What it is.
        kind: &'static str,
        /// Its name.
        name: String,
        /// The workflow.
        workflow: String,
    },
    /// Somebody else has changed it since.
    #[error("the {kind} `{name}` was changed since it was deployed")]
    Changed {
        /// What it is.
        kind: &'static str,
        /// Its name.
        name: String,
    },
    /// Another file's workflow has the name.
    #[error("a workflow `{name}` of another file, `{file}`, is deployed")]
    OtherFile {
        /// The workflow's name.
        name: String,
        /// The file's.
        file: String,
    },
    /// What a run needs would change or go.
    #[error("the run {0} is under way, and needs the functions as they are")]
    UnderWay(String),
    /// The program of the functions is not there, or not right.
    #[error("{0}")]
    Worker(String),
    /// The workflow names a file that can't go along.
    #[error("{0}")]
    File(String),
    /// A function that runs commands has no image.
    #[error("the workflow runs commands, and no image is given that has what they need")]
    NoImage,
    /// No workflow of the name is deployed.
    #[error("`{0}` is not deployed in {1}")]
    NotDeployed(String, String),
    /// No run has the name.
    #[error("there is no run `{0}` in {1}")]
    NoRun(String, String),
    /// Several runs could be meant.
    #[error("several runs start with `{0}`: {1}")]
    SeveralRuns(String, String),
}

impl CloudError {
    /// What to do about it.
    pub fn help(&self) -> String {
        match self {
            Self::NoCredentials(_) => {
                "run `aws configure` or `aws sso login`, name a profile with `--profile`, or set \
                                       AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"
                    .into()
            }
            Self::BadCredentials(_) => "they may have expired; `aws sts get-caller-identity` tells who you are".into(),
            Self::NoRegion => "name one: `--region eu-central-1`, or set AWS_REGION".into(),
            Self::Unreachable { .. } => {
                "look at the network, and whether the region or the address is spelled right".into()
            }
            Self::Denied { action, .. } => format!("let someone who may allow you `{action}` add it to your role"),
            Self::Refused { .. } => "a deployment that was cut off goes on when it is started again".into(),
            Self::Objects(error) => error.help.into(),
            Self::Taken { .. } => "rename the workflow, or remove what has the name".into(),
            Self::Changed { .. } => "`--force` overwrites what was changed".into(),
            Self::OtherFile { .. } => {
                "give this one another name with `--name`, or replace the other with `--force`".into()
            }
            Self::Worker(_) => {
                "build it for Linux: `cargo build --release --no-default-features --features worker --bin \
                                smlt-worker`, and name it with `--worker target/release/smlt-worker`"
                    .into()
            }
            Self::File(_) => "move it into the folder of the workflow file, and name it by its path from there".into(),
            Self::NoImage => "`smltc build` writes a Containerfile; build it, push the image to ECR, and name it with \
                              `--image URI`"
                .into(),
            Self::NotDeployed(..) => "`smltc deploy FILE` deploys it".into(),
            Self::UnderWay(run) => format!("wait until it is over, or stop it: `smltc cancel {run}`"),
            Self::NoRun(..) | Self::SeveralRuns(..) => "`smltc runs --remote` lists them".into(),
        }
    }

    /// What an answer with an error means.
    pub fn answered(action: &str, code: &str, message: &str) -> Self {
        let (action, message) = (action.to_owned(), message.to_owned());
        match code {
            "AccessDenied" | "AccessDeniedException" | "UnauthorizedOperation" | "AuthorizationError" => {
                // It may be something that is done on the way, such as passing a role.
                let (_, named) = message.split_once("not authorized to perform: ").unwrap_or_default();
                let named = named.split_whitespace().next().map(str::to_owned);
                Self::Denied { action: named.unwrap_or(action), message }
            }
            "ExpiredToken"
            | "ExpiredTokenException"
            | "InvalidClientTokenId"
            | "InvalidAccessKeyId"
            | "UnrecognizedClientException"
            | "SignatureDoesNotMatch"
            | "InvalidSignatureException"
            | "AuthFailure"
            | "IncompleteSignature" => Self::BadCredentials(message),
            code => Self::Refused { action, code: code.to_owned(), message },
        }
    }

    /// Whether AWS refuses for this reason.
    pub fn is(&self, wanted: &str) -> bool {
        matches!(self, Self::Refused { code, .. } if code == wanted)
    }
}

/// All causes of an error in a line.
pub fn causes(error: &dyn std::error::Error) -> String {
    let mut said = error.to_string();
    let mut last = said.clone();
    for cause in std::iter::successors(error.source(), |error| error.source()) {
        // Many tell what their cause tells.
        let text = cause.to_string();
        if !last.contains(&text) {
            said += &format!(": {text}");
        }
        last = text;
    }
    said
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_action_that_is_missing_is_named() {
        let said = "User: arn:aws:iam::1:user/a is not authorized to perform: iam:PassRole on resource: r";
        let error = CloudError::answered("lambda:CreateFunction", "AccessDeniedException", said);
        assert!(error.to_string().starts_with("the credentials may not do `iam:PassRole`"), "{error}");
        let error = CloudError::answered("lambda:CreateFunction", "AccessDeniedException", "no");
        assert!(error.help().contains("`lambda:CreateFunction`"), "{}", error.help());
    }
}
