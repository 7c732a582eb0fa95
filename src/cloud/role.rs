use super::{
    Cloud, CloudError,
    resource::{Found, Resource, Tags},
    signed::{Service, decoded},
    xml,
};
use serde_json::{Value as Json, json};

/// The policy within a role.
const POLICY: &str = "smlt";

/// A role, with what it is allowed.
pub struct Role {
    /// Its name.
    pub name: String,
    /// Who may take it.
    pub trust: Json,
    /// What it is allowed.
    pub policy: Json,
}

impl Role {
    /// Its name in the whole world.
    pub fn arn(&self, cloud: &Cloud) -> String {
        format!("arn:{}:iam::{}:role/{}", cloud.partition(), cloud.account, self.name)
    }

    fn ask(&self, cloud: &Cloud, action: &str, fields: &[(&str, &str)]) -> Result<String, CloudError> {
        cloud.query(Service::Iam, action, &[&[("RoleName", &*self.name)], fields].concat())
    }

    fn allow(&self, cloud: &Cloud) -> Result<(), CloudError> {
        let policy = self.policy.to_string();
        self.ask(cloud, "PutRolePolicy", &[("PolicyName", POLICY), ("PolicyDocument", &policy)]).map(drop)
    }
}

fn document(xml: &str, name: &str) -> Json {
    let text = xml::text(xml, name).unwrap_or_default();
    serde_json::from_str(&decoded(&text)).unwrap_or_default()
}

/// The fields of a form that give tags.
fn fields(tags: &Tags) -> Vec<(String, String)> {
    let numbered = (1..).zip(tags.pairs());
    numbered
        .flat_map(|(number, (key, value))| {
            [
                (format!("Tags.member.{number}.Key"), key.to_owned()),
                (format!("Tags.member.{number}.Value"), value.to_owned()),
            ]
        })
        .collect()
}

impl Resource for Role {
    fn kind(&self) -> &'static str {
        "role"
    }

    fn name(&self) -> &str {
        &self.name
    }

    fn wanted(&self) -> Json {
        json!({ "trust": self.trust, "policy": self.policy })
    }

    fn find(&self, cloud: &Cloud) -> Result<Option<Found>, CloudError> {
        let missing = |error: CloudError| if error.is("NoSuchEntity") { Ok(None) } else { Err(error) };
        let Some(role) = self.ask(cloud, "GetRole", &[]).map(Some).or_else(missing)? else { return Ok(None) };
        let policy = self.ask(cloud, "GetRolePolicy", &[("PolicyName", POLICY)]).map(Some).or_else(missing)?;
        let policy = policy.map_or(Json::Null, |policy| document(&policy, "PolicyDocument"));
        let said = self.ask(cloud, "ListRoleTags", &[])?;
        let tags =
            xml::inside(&said, "member").filter_map(|tag| Some((xml::text(tag, "Key")?, xml::text(tag, "Value")?)));
        let content = json!({ "trust": document(&role, "AssumeRolePolicyDocument"), "policy": policy });
        Ok(Some(Found { tags: tags.collect(), content }))
    }

    fn create(&self, cloud: &Cloud, tags: &Tags) -> Result<(), CloudError> {
        let trust = self.trust.to_string();
        let tags = fields(tags);
        let tags = tags.iter().map(|(name, value)| (&**name, &**value));
        let fields: Vec<_> = std::iter::once(("AssumeRolePolicyDocument", &*trust)).chain(tags).collect();
        self.ask(cloud, "CreateRole", &fields)?;
        self.allow(cloud)
    }

    fn update(&self, cloud: &Cloud) -> Result<(), CloudError> {
        let trust = self.trust.to_string();
        self.ask(cloud, "UpdateAssumeRolePolicy", &[("PolicyDocument", &trust)])?;
        self.allow(cloud)
    }

    fn tag(&self, cloud: &Cloud, tags: &Tags) -> Result<(), CloudError> {
        let fields = fields(tags);
        let fields: Vec<_> = fields.iter().map(|(name, value)| (&**name, &**value)).collect();
        self.ask(cloud, "TagRole", &fields).map(drop)
    }

    fn remove(&self, cloud: &Cloud) -> Result<(), CloudError> {
        match self.ask(cloud, "DeleteRolePolicy", &[("PolicyName", POLICY)]) {
            Err(error) if !error.is("NoSuchEntity") => return Err(error),
            _ => {}
        }
        self.ask(cloud, "DeleteRole", &[]).map(drop)
    }
}
