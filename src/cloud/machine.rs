use super::{
    Cloud, CloudError,
    function::with_new_role,
    resource::{Found, Resource, Tags},
};
use aws_sdk_sfn::types::{RoutingConfigurationListItem, Tag};
use serde_json::{Value as Json, json};
use std::collections::BTreeMap;

/// The alias that executions are started by.
pub const LIVE: &str = "live";

/// A state machine, of which a version is live.
#[derive(Default)]
pub struct Machine {
    /// Its name.
    pub name: String,
    /// Its definition.
    pub definition: String,
    /// The role that it takes.
    pub role: String,
}

impl Machine {
    fn arn(&self, cloud: &Cloud) -> String {
        arn(cloud, &self.name)
    }

    /// Lets executions that start from now on run a version.
    fn go_live(&self, cloud: &Cloud, version: &str) -> Result<(), CloudError> {
        // A version and a weight are all that it takes.
        let route = RoutingConfigurationListItem::builder().state_machine_version_arn(version).weight(100).build();
        let route = route.expect("a route has a version and a weight");
        let alias = format!("{}:{LIVE}", self.arn(cloud));
        let update = cloud.states.update_state_machine_alias().state_machine_alias_arn(alias);
        match cloud.ask("states:UpdateStateMachineAlias", update.routing_configuration(route.clone()).send()) {
            Err(error) if is_missing(&error) => {
                let create = cloud.states.create_state_machine_alias().name(LIVE).routing_configuration(route);
                cloud.ask("states:CreateStateMachineAlias", create.send()).map(drop)
            }
            done => done.map(drop),
        }
    }

    fn version(version: Option<&str>) -> Result<&str, CloudError> {
        version.ok_or_else(|| CloudError::Refused {
            action: "states:PublishStateMachineVersion".into(),
            code: "the answer".into(),
            message: "it names no version".into(),
        })
    }
}

/// The name in the whole world of a state machine.
pub fn arn(cloud: &Cloud, name: &str) -> String {
    format!("arn:{}:states:{}:{}:stateMachine:{name}", cloud.partition(), cloud.region, cloud.account)
}

fn is_missing(error: &CloudError) -> bool {
    ["StateMachineDoesNotExist", "ResourceNotFound", "ResourceNotFoundException"].iter().any(|code| error.is(code))
}

impl Resource for Machine {
    fn kind(&self) -> &'static str {
        "state machine"
    }

    fn name(&self) -> &str {
        &self.name
    }

    fn wanted(&self) -> Json {
        json!({ "definition": self.definition, "role": self.role, "live": self.definition })
    }

    fn find(&self, cloud: &Cloud) -> Result<Option<Found>, CloudError> {
        let arn = self.arn(cloud);
        let describe = |arn: &str| {
            let asked = cloud.states.describe_state_machine().state_machine_arn(arn).send();
            match cloud.ask("states:DescribeStateMachine", asked) {
                Err(error) if is_missing(&error) => Ok(None),
                found => found.map(Some),
            }
        };
        let Some(is) = describe(&arn)? else { return Ok(None) };
        let alias = cloud.states.describe_state_machine_alias().state_machine_alias_arn(format!("{arn}:{LIVE}")).send();
        let live = match cloud.ask("states:DescribeStateMachineAlias", alias) {
            Err(error) if is_missing(&error) => None,
            alias => match alias?.routing_configuration() {
                [route, ..] => describe(route.state_machine_version_arn())?,
                [] => None,
            },
        };
        let listed =
            cloud.ask("states:ListTagsForResource", cloud.states.list_tags_for_resource().resource_arn(arn).send())?;
        let tags = listed.tags().iter().filter_map(|tag| Some((tag.key()?.to_owned(), tag.value()?.to_owned())));
        let content = json!({
            "definition": is.definition(),
            "role": is.role_arn(),
            "live": live.map(|live| live.definition().to_owned()),
        });
        Ok(Some(Found { tags: tags.collect::<BTreeMap<_, _>>(), content }))
    }

    fn create(&self, cloud: &Cloud, tags: &Tags) -> Result<(), CloudError> {
        let create = cloud
            .states
            .create_state_machine()
            .name(&self.name)
            .definition(&self.definition)
            .role_arn(&self.role)
            .publish(true)
            .set_tags(Some(pairs(tags)));
        let made = with_new_role(|| cloud.ask("states:CreateStateMachine", create.clone().send()))?;
        self.go_live(cloud, Self::version(made.state_machine_version_arn())?)
    }

    fn update(&self, cloud: &Cloud) -> Result<(), CloudError> {
        let update = cloud
            .states
            .update_state_machine()
            .state_machine_arn(self.arn(cloud))
            .definition(&self.definition)
            .role_arn(&self.role)
            .publish(true);
        let made = with_new_role(|| cloud.ask("states:UpdateStateMachine", update.clone().send()))?;
        self.go_live(cloud, Self::version(made.state_machine_version_arn())?)
    }

    fn tag(&self, cloud: &Cloud, tags: &Tags) -> Result<(), CloudError> {
        let tag = cloud.states.tag_resource().resource_arn(self.arn(cloud)).set_tags(Some(pairs(tags)));
        cloud.ask("states:TagResource", tag.send()).map(drop)
    }

    fn remove(&self, cloud: &Cloud) -> Result<(), CloudError> {
        let remove = cloud.states.delete_state_machine().state_machine_arn(self.arn(cloud)).send();
        cloud.ask("states:DeleteStateMachine", remove).map(drop)
    }
}

fn pairs(tags: &Tags) -> Vec<Tag> {
    tags.pairs().map(|(key, value)| Tag::builder().key(key).value(value).build()).into()
}
