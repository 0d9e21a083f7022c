"""moto's server, plus the parts of KMS and CloudFormation that the tests need and moto 5.2.1 lacks.

    python moto_aws.py [--keys FILE] [PORT]

Listens on 127.0.0.1, on a free port if none is given, and prints the port on its own line once it is
listening. Ends when its standard input does, so that no emulator outlives the tests that started
it, however they ended.

FILE is a JSON list of KMS keys that exist from the start, with the same ids and key material in
every run: account, region, keyId, keyMaterialBase64 (32 bytes) and replicaRegions (a key that has
some is a multi-Region key). Such keys protect nothing: their material is in a file.

Fixed: the ids of multi-Region keys, their replicas, ARNs where a key's state is changed, and the
source key of ReEncrypt. Added: AWS::IAM::Group, AWS::SecretsManager::Secret, AWS::KMS::ReplicaKey, the
properties and updates of AWS::KMS::Key, and change sets (`aws cloudformation deploy`) that publish
outputs and exports, roll back when they fail, and refuse to be empty, as AWS's do.
"""
import argparse
import base64
import json
import logging
import os
import re
import threading
from unittest import mock

from moto.cloudformation import models as cloudformation, parsing
from moto.cloudformation.parsing import ResourceMap
from moto.cloudformation.responses import CloudFormationResponse
from moto.core.common_models import CloudFormationModel
from moto.core.exceptions import JsonRESTError
from moto.iam.models import User, iam_backends
from moto.kms import models as kms_models
from moto.kms.exceptions import AlreadyExistsException
from moto.kms.models import Alias, Key, KmsBackend, kms_backends
from moto.kms.responses import KmsResponse
from moto.secretsmanager.models import secretsmanager_backends
from moto.server import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import make_server


def as_text(value):
    return value if isinstance(value, str) else json.dumps(value)


def as_bool(value):
    return str(value).lower() == "true"


# --- KMS: ids of multi-Region keys ----------------------------------------------------------------
# AWS's are "mrk-" and 32 hexadecimal digits: 36 characters, exactly what moto's ciphertext has room
# for. moto's own contain hyphens, and Decrypt never finds their key.
generate_key_id = kms_models.generate_key_id
validate_key_id = KmsResponse._validate_cmk_id


def generate_key_id_mrk(multi_region=False):
    key_id = generate_key_id()
    return "mrk-" + key_id.replace("-", "") if multi_region else key_id


def validate_key_id_mrk(self, key_id):
    # In an ARN, moto accepts any id.
    is_mrk = re.fullmatch("mrk-[0-9a-f]{32}", key_id)
    validate_key_id(self, f"arn:aws:kms:{self.region}:0:key/{key_id}" if is_mrk else key_id)


kms_models.generate_key_id = generate_key_id_mrk
KmsResponse._validate_cmk_id = validate_key_id_mrk


# --- KMS: replicas ---------------------------------------------------------------------------------
# moto's replica shares its aliases with the primary key, and turns that one into a replica.
replicate = KmsBackend.replicate_key


def replicate_key(self, key_id, replica_region):
    replica = replicate(self, key_id, replica_region)
    replica.aliases = {}
    replica.multi_region_configuration = {
        **replica.multi_region_configuration,
        "MultiRegionKeyType": "REPLICA",
    }
    return replica


KmsBackend.replicate_key = replicate_key


# --- KMS: ReEncrypt --------------------------------------------------------------------------------
# moto moves any key's message, whatever SourceKeyId says.
re_encrypt = KmsResponse.re_encrypt


def re_encrypt_from_source(self):
    answer = re_encrypt(self)
    source = self._get_param("SourceKeyId")
    if source is not None:
        key_id = self.kms_backend.any_id_to_key_id(source)
        if json.loads(answer)["SourceKeyId"].split("/")[-1] != key_id:
            raise JsonRESTError("IncorrectKeyException", "")
    return answer


KmsResponse.re_encrypt = re_encrypt_from_source

# --- KMS: states of keys ---------------------------------------------------------------------------
# When a state is changed, moto finds a key only by its bare id, not by its ARN.
def by_arn_too(change):
    return lambda self, key_id, *args: change(self, self.get_key_id(key_id), *args)


for name in ("enable_key", "disable_key", "schedule_key_deletion", "cancel_key_deletion"):
    setattr(KmsBackend, name, by_arn_too(getattr(KmsBackend, name)))


# --- KMS: keys that are the same in every run -----------------------------------------------------
def add_key(account, region, keyId, keyMaterialBase64, replicaRegions):
    material = base64.b64decode(keyMaterialBase64, validate=True)
    if len(material) != 32:
        raise ValueError(f"the key material of {keyId} has {len(material)} bytes, not 32")
    backend = kms_backends[account][region]
    # Not set on the finished key, because its ARN and more are derived from its id.
    with mock.patch.multiple(
        kms_models,
        generate_key_id=lambda multi_region: keyId,
        generate_master_key=lambda: material,
    ):
        backend.create_key(
            policy=None,
            key_usage="ENCRYPT_DECRYPT",
            key_spec="SYMMETRIC_DEFAULT",
            description="a test key that protects nothing",
            tags=None,
            multi_region=bool(replicaRegions),
        )
    for replica_region in replicaRegions:
        backend.replicate_key(keyId, replica_region)


# --- AWS::KMS::Key, AWS::KMS::ReplicaKey ----------------------------------------------------------
def set_key_properties(key, props):
    key.policy = as_text(props["KeyPolicy"])
    key.description = props.get("Description", "")
    key.key_rotation_status = as_bool(props.get("EnableKeyRotation", False))
    key.enabled = as_bool(props.get("Enabled", True))
    return key


def create_key(cls, resource_name, cloudformation_json, account_id, region_name, **kwargs):
    props = cloudformation_json["Properties"]
    key = kms_backends[account_id][region_name].create_key(
        policy=as_text(props["KeyPolicy"]),
        key_usage="ENCRYPT_DECRYPT",
        key_spec="SYMMETRIC_DEFAULT",
        description=props.get("Description", ""),
        tags=[{"TagKey": tag["Key"], "TagValue": tag["Value"]} for tag in props.get("Tags", [])],
        multi_region=as_bool(props.get("MultiRegion", False)),
    )
    return set_key_properties(key, props)


def update_key(
    cls, original_resource, new_resource_name, cloudformation_json, account_id, region_name
):
    props = cloudformation_json["Properties"]
    if as_bool(props.get("MultiRegion", False)) != original_resource.multi_region:
        raise ValueError("You cannot change the MultiRegion property of an existing KMS key")
    return set_key_properties(original_resource, props)


Key.create_from_cloudformation_json = classmethod(create_key)
Key.update_from_cloudformation_json = classmethod(update_key)


# CloudFormation must not take over another key's alias; moto only checks that in the KMS API.
create_alias = Alias.create_from_cloudformation_json.__func__


def create_alias_unless_taken(
    cls, resource_name, cloudformation_json, account_id, region_name, **kwargs
):
    name = cloudformation_json["Properties"]["AliasName"]
    if kms_backends[account_id][region_name].alias_exists(name):
        raise AlreadyExistsException(f"An alias with the name {name} already exists")
    return create_alias(cls, resource_name, cloudformation_json, account_id, region_name, **kwargs)


Alias.create_from_cloudformation_json = classmethod(create_alias_unless_taken)


class ReplicaKey(CloudFormationModel):
    __module__ = "moto.kms.models"  # moto finds the service by its module's name

    def __init__(self, key):
        self.key = key

    @staticmethod
    def cloudformation_name_type():
        return ""

    @staticmethod
    def cloudformation_type():
        return "AWS::KMS::ReplicaKey"

    @classmethod
    def has_cfn_attr(cls, attr):
        return attr in ("Arn", "KeyId")

    @classmethod
    def create_from_cloudformation_json(
        cls, resource_name, cloudformation_json, account_id, region_name, **kwargs
    ):
        props = cloudformation_json["Properties"]
        primary_arn = props["PrimaryKeyArn"]
        primary_region, key_id = primary_arn.split(":")[3], primary_arn.split("/")[1]
        replica = kms_backends[account_id][primary_region].replicate_key(key_id, region_name)
        # Rotation is a property of the primary key; all its replicas report the same.
        return cls(set_key_properties(replica, {"EnableKeyRotation": True, **props}))

    @classmethod
    def update_from_cloudformation_json(
        cls, original_resource, new_resource_name, cloudformation_json, account_id, region_name
    ):
        props = cloudformation_json["Properties"]
        set_key_properties(original_resource.key, {"EnableKeyRotation": True, **props})
        return original_resource

    @property
    def physical_resource_id(self):
        return self.key.id

    def get_cfn_attribute(self, attribute_name):
        return {"Arn": self.key.arn, "KeyId": self.key.id}[attribute_name]

    def delete(self, account_id, region_name):
        kms_backends[account_id][region_name].schedule_key_deletion(self.key.id, 30)


# --- AWS::IAM::Group, and the Groups of AWS::IAM::User --------------------------------------------
class Group(CloudFormationModel):
    __module__ = "moto.iam.models"

    def __init__(self, group):
        self.group = group

    @staticmethod
    def cloudformation_name_type():
        return "GroupName"

    @staticmethod
    def cloudformation_type():
        return "AWS::IAM::Group"

    @classmethod
    def has_cfn_attr(cls, attr):
        return attr == "Arn"

    @classmethod
    def create_from_cloudformation_json(
        cls, resource_name, cloudformation_json, account_id, region_name, **kwargs
    ):
        iam = iam_backends[account_id]["aws"]
        return cls(iam.create_group(resource_name)).put_policies(iam, cloudformation_json)

    @classmethod
    def update_from_cloudformation_json(
        cls, original_resource, new_resource_name, cloudformation_json, account_id, region_name
    ):
        return original_resource.put_policies(iam_backends[account_id]["aws"], cloudformation_json)

    def put_policies(self, iam, cloudformation_json):
        for policy in cloudformation_json["Properties"].get("Policies", []):
            document = as_text(policy["PolicyDocument"])
            iam.put_group_policy(self.group.name, policy["PolicyName"], document)
        return self

    @property
    def physical_resource_id(self):
        return self.group.name

    def get_cfn_attribute(self, attribute_name):
        return self.group.arn

    def delete(self, account_id, region_name):
        iam_backends[account_id]["aws"].delete_group(self.group.name)


create_user = User.create_from_cloudformation_json.__func__


def create_user_in_groups(
    cls, resource_name, cloudformation_json, account_id, region_name, **kwargs
):
    user = create_user(cls, resource_name, cloudformation_json, account_id, region_name, **kwargs)
    for group in cloudformation_json["Properties"].get("Groups", []):
        iam_backends[account_id]["aws"].add_user_to_group(group, user.name)
    return user


User.create_from_cloudformation_json = classmethod(create_user_in_groups)


# --- AWS::SecretsManager::Secret ------------------------------------------------------------------
class Secret(CloudFormationModel):
    __module__ = "moto.secretsmanager.models"

    def __init__(self, arn):
        self.arn = arn

    @staticmethod
    def cloudformation_name_type():
        return "Name"

    @staticmethod
    def cloudformation_type():
        return "AWS::SecretsManager::Secret"

    @classmethod
    def has_cfn_attr(cls, attr):
        return attr == "Id"

    @classmethod
    def create_from_cloudformation_json(
        cls, resource_name, cloudformation_json, account_id, region_name, **kwargs
    ):
        props = cloudformation_json["Properties"]
        created = secretsmanager_backends[account_id][region_name].create_secret(
            name=resource_name,
            secret_string=props["SecretString"],
            secret_binary=None,
            description=props.get("Description"),
            tags=None,
            kms_key_id=None,
            client_request_token=None,
            replica_regions=[],
            force_overwrite=False,
        )
        return cls(json.loads(created)["ARN"])

    @classmethod
    def update_from_cloudformation_json(
        cls, original_resource, new_resource_name, cloudformation_json, account_id, region_name
    ):
        secretsmanager_backends[account_id][region_name].put_secret_value(
            secret_id=original_resource.arn,
            secret_string=cloudformation_json["Properties"]["SecretString"],
            secret_binary=None,
            client_request_token=None,
            version_stages=["AWSCURRENT"],
        )
        return original_resource

    @property
    def physical_resource_id(self):
        return self.arn

    def delete(self, account_id, region_name):
        secretsmanager_backends[account_id][region_name].delete_secret(self.arn, None, True)


# --- CloudFormation: change sets ------------------------------------------------------------------
def apply_change_set(change_set):
    stack = change_set.stack
    stack.resource_map.update(change_set.template_dict, dict(change_set.parameters))
    stack.template, stack.parameters = change_set.template, stack.stack_parameters
    # The next change set's parameters are compared with these, including defaults.
    stack.resource_map.input_parameters = stack.stack_parameters
    for name in gone_with_conditions(stack.resource_map, change_set.template_dict):
        stack.resource_map._parsed_resources.pop(name, None)
    stack._parse_template()
    stack.output_map = stack._create_output_map()
    outputs = stack.output_map._output_json_map
    for name, output in list(outputs.items()):
        if not stack.resource_map.lazy_condition_map.get(output.get("Condition"), True):
            del outputs[name]  # exports ignore conditions
    exports = cloudformation.cloudformation_backends[stack.account_id][stack.region_name].exports
    for name in [n for n, e in exports.items() if e.exporting_stack_id == stack.stack_id]:
        del exports[name]
    for export in stack.exports:
        exports[export.name] = export


# moto only reports what happened to a stack. AWS also reports it for each resource, with the reason
# for a failure, and gives every event the token of the request that began the operation.
class Operation(threading.local):
    def __init__(self):  # in each thread
        self.token = None
        self.events = []


operation = Operation()


def with_events(what, change):
    def change_with_events(logical_id, resource_json, resources_map, *args, **kwargs):
        def note(status, reason=None):
            operation.events.append((logical_id, resource_json["Type"], f"{what}_{status}", reason))

        begun = len(operation.events)
        note("IN_PROGRESS")
        try:
            resource = change(logical_id, resource_json, resources_map, *args, **kwargs)
        except Exception as error:
            # A resource that failed because of another one has no failure of its own.
            if not any(status.endswith("_FAILED") for _, _, status, _ in operation.events[begun:]):
                note("FAILED", str(error) or repr(error))
            raise
        note("COMPLETE")
        return resource

    return change_with_events


parsing.parse_and_create_resource = with_events("CREATE", parsing.parse_and_create_resource)
parsing.parse_and_update_resource = with_events("UPDATE", parsing.parse_and_update_resource)

delete_resource = ResourceMap._delete_resource


def delete_resource_with_event(self, resource, resource_json):
    delete_resource(self, resource, resource_json)
    name, kind = resource.logical_resource_id, resource_json["Type"]
    operation.events.append((name, kind, "DELETE_COMPLETE", None))


ResourceMap._delete_resource = delete_resource_with_event


def add_resource_events(stack):
    for logical_id, resource_type, status, reason in operation.events:
        stack._add_stack_event(status, resource_status_reason=reason)
        stack.events[-1].logical_resource_id = logical_id
        stack.events[-1].resource_type = resource_type
    operation.events.clear()


def delete_stack(self):
    self._add_stack_event("DELETE_IN_PROGRESS", resource_status_reason="User Initiated")
    self.resource_map.delete()
    add_resource_events(self)
    self._add_stack_event("DELETE_COMPLETE")
    self.status = "DELETE_COMPLETE"


cloudformation.Stack.delete = delete_stack

event_init = cloudformation.Event.__init__


def event_init_with_token(self, *args, **kwargs):
    event_init(self, *args, **kwargs)
    self.client_request_token = operation.token


cloudformation.Event.__init__ = event_init_with_token


def with_token(respond):
    def respond_with_token(self):
        operation.token = self._get_param("ClientRequestToken")
        operation.events = []
        try:
            return respond(self)
        finally:
            operation.token = None

    return respond_with_token


for name in ("execute_change_set", "delete_stack"):
    setattr(CloudFormationResponse, name, with_token(getattr(CloudFormationResponse, name)))


def execute_change_set(self, change_set_name, stack_name=None):
    change_set = self.change_sets.get(change_set_name) or next(
        c for c in self.change_sets.values() if c.change_set_name == change_set_name
    )
    stack, kind = change_set.stack, change_set.change_set_type
    stack._add_stack_event(f"{kind}_IN_PROGRESS", resource_status_reason="User Initiated")
    try:
        apply_change_set(change_set)
        add_resource_events(stack)
        stack.status = f"{kind}_COMPLETE"
        if change_set.tags:
            stack.tags = change_set.tags
    except Exception as error:
        add_resource_events(stack)
        stack._add_stack_event(
            f"{kind}_FAILED", resource_status_reason=str(error) or repr(error)
        )
        if kind == "CREATE":
            delete_resources(stack.resource_map)  # including RetainExceptOnCreate
            add_resource_events(stack)
        stack.status = "ROLLBACK_COMPLETE" if kind == "CREATE" else "UPDATE_ROLLBACK_COMPLETE"
    stack._add_stack_event(stack.status)
    change_set.execution_status = "EXECUTE_COMPLETE"


cloudformation.CloudFormationBackend.execute_change_set = execute_change_set

# AWS::NoValue removes an element from a list too, not only a member from a mapping.
clean_json = parsing.clean_json


def clean_json_without_no_value(resource_json, resources_map):
    cleaned = clean_json(resource_json, resources_map)
    return [one for one in cleaned if one is not None] if isinstance(cleaned, list) else cleaned


parsing.clean_json = clean_json_without_no_value

# A stack that is only there for a change set is used by the next one; moto makes a second of that name.
create_change_set = cloudformation.CloudFormationBackend.create_change_set


def create_change_set_for_one_stack(self, stack_name, *args, **kwargs):
    for stack in list(self.stacks.values()):
        if stack.name == stack_name and stack.status == "REVIEW_IN_PROGRESS":
            del self.stacks[stack.stack_id]
    return create_change_set(self, stack_name, *args, **kwargs)


cloudformation.CloudFormationBackend.create_change_set = create_change_set_for_one_stack

# AWS creates an empty change set and then says it failed; moto refuses to create it, and so deploy.
validate_update = CloudFormationResponse._validate_different_update


def validate_update_unless_change_set(self, incoming_params, stack_body, old_stack):
    if self._get_action() != "CreateChangeSet":
        validate_update(self, incoming_params, stack_body, old_stack)


CloudFormationResponse._validate_different_update = validate_update_unless_change_set

# UsePreviousValue and describe-stacks must get a list as it was given: joined by commas.
cloudformation.Stack.stack_parameters = property(
    lambda self: {
        name: ",".join(value) if isinstance(value, list) else str(value)
        for name, value in self.resource_map.resolved_parameters.items()
    }
)

parameter_list = cloudformation.Stack.parameter_list.fget


def parameter_list_with_joined_lists(self):
    return [
        {**one, "ParameterValue": self.stack_parameters[one["ParameterKey"]]}
        for one in parameter_list(self)
    ]


cloudformation.Stack.parameter_list = property(parameter_list_with_joined_lists)

# A secret changes with the access key that it holds, even if its text in the template does not.
# And a resource comes and goes with its condition.
resource_diff = ResourceMap.build_resource_diff


def gone_with_conditions(resource_map, template, parameters=None):
    values = {name: one.get("Default") for name, one in template.get("Parameters", {}).items()}
    values.update(parameters or resource_map.input_parameters)
    return [
        name
        for name, resource in template["Resources"].items()
        if "Condition" in resource
        and not parsing.parse_condition(template["Conditions"][resource["Condition"]], values, {})
    ]


def resource_diff_with_secrets(self, other_template, parameters=None):
    parameters = parameters or self.parameters_to_be
    actions = resource_diff(self, other_template, parameters)
    modified = actions["Modify"]
    gone = gone_with_conditions(self, other_template, parameters)
    for name in other_template["Resources"]:
        there, wanted = name in self._parsed_resources, name not in gone
        if self._parsed_resources and there != wanted:
            for names in actions.values():
                if name in names:
                    names.remove(name)
            actions["Add" if wanted else "Remove"].append(name)
        elif not wanted:
            actions["Add"] = [one for one in actions["Add"] if one != name]
            modified[:] = [one for one in modified if one != name]
    modified += [
        name
        for name, resource in other_template["Resources"].items()
        if resource["Type"] == "AWS::SecretsManager::Secret"
        and name in self._parsed_resources
        and name not in modified
        and any(changed in json.dumps(resource) for changed in modified)
    ]
    return actions


ResourceMap.build_resource_diff = resource_diff_with_secrets

# A change set also lists what changes because of a parameter.
ResourceMap.parameters_to_be = None
change_set_diff = cloudformation.ChangeSet.diff


def change_set_diff_with_parameters(self):
    self.stack.resource_map.parameters_to_be = self.parameters
    return change_set_diff(self)


cloudformation.ChangeSet.diff = change_set_diff_with_parameters

# moto only knows Retain.
delete_resources = ResourceMap.delete


def delete_unless_retained(self):
    for resource in self._resource_json_map.values():
        if resource.get("DeletionPolicy") == "RetainExceptOnCreate":
            resource["DeletionPolicy"] = "Retain"
    delete_resources(self)


ResourceMap.delete = delete_unless_retained


# --- the server -----------------------------------------------------------------------------------
def end_with_standard_input():
    # The file descriptor, not sys.stdin, whose lock this thread would hold for good.
    while os.read(0, 4096):
        pass
    os._exit(0)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--keys")
    parser.add_argument("port", nargs="?", type=int, default=0)
    options = parser.parse_args()
    if options.keys is not None:
        with open(options.keys, encoding="utf-8") as keys_file:
            for key in json.load(keys_file):
                add_key(**key)

    logging.getLogger("werkzeug").setLevel(logging.ERROR)  # not a line for each request
    app = DomainDispatcherApplication(create_backend_app)
    server = make_server("127.0.0.1", options.port, app, threaded=True)
    threading.Thread(target=end_with_standard_input, daemon=True).start()
    print(server.port, flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main()
