"""What the other rooms report: the ids that are no rules, with title and reason, so that each can be explained."""

from __future__ import annotations

from typing import NamedTuple


class Explained(NamedTuple):
    """A title and a reason, as a rule's docstring has them."""

    title: str
    why: str


CHECKS: dict[str, Explained] = {
    "E101": Explained(
        "Every file below specs/ can be read.",
        "A file that stormc cannot read is an app that nobody checks; a render without it would remove its manifests.",
    ),
    "E102": Explained(
        "A spec file has a bounded size.",
        "Specs are a few lines; a large file is a mistake, and reading it would stop the hook.",
    ),
    "E103": Explained(
        "A spec file and its name are UTF-8.",
        "YAML readers disagree on any other encoding, so Git, the compiler and the reviewer would see different text.",
    ),
    "E104": Explained(
        "A spec file is plain YAML.",
        "Tabs, tags, merge keys and keys that are no strings mean different things to different readers of YAML.",
    ),
    "E105": Explained(
        "A spec file holds one document.", "One app has one file, which its rendered directory names in every header."
    ),
    "E106": Explained(
        "A spec file holds a mapping.", "An empty file or a list says nothing about an app: most likely it was cut off."
    ),
    "E107": Explained(
        "Nesting and aliases are bounded.",
        "A few lines of anchors expand to millions of values; no spec needs more than a handful of levels.",
    ),
    "E108": Explained(
        "Every key stands once.",
        "YAML readers take the first or the last of two, silently; with the k8s-deploy-tool a second "
        "schedule_minAvailable broke the gang that way.",
    ),
    "E109": Explained(
        "Specs lie inside the specs directory.",
        "A link that leads elsewhere makes the result depend on the machine that renders.",
    ),
    "E110": Explained(
        "A comment to stormc is a suppression.",
        "The form is `# stormc: ignore[W020] reason`; in another form the comment would do nothing.",
    ),
    "E111": Explained(
        "A suppression has a reason.", "Without one nobody can tell later whether the warning still is to be ignored."
    ),
    "E112": Explained(
        "A suppression names ids of findings.", "A misspelt id suppresses nothing, and the warning comes back."
    ),
    "E113": Explained("Errors cannot be suppressed.", "What the cluster rejects or breaks is not a matter of opinion."),
    "W114": Explained(
        "Every suppression suppresses something.",
        "A comment that outlived its finding would hide the next one on that line.",
    ),
    "E115": Explained(
        "Formatting keeps every comment and every value.",
        "Where YAML's own libraries would move or lose a comment, `stormc fmt` leaves the file as it is.",
    ),
    "E116": Explained(
        "Specs are in canonical form.",
        "`stormc fmt --check` found another order of keys, other quotes or indents; in one form a diff shows changes.",
    ),
    "E200": Explained(
        "A field satisfies the schema.",
        "The value breaks a constraint of the spec format; see docs/spec.md.",
    ),
    "E201": Explained(
        "Every key is one of the spec format.",
        "An unknown key would be ignored, and the app would be rendered without what was meant.",
    ),
    "E202": Explained("Required fields are there.", "Nothing sensible can be assumed in their place."),
    "E203": Explained(
        "A field has the right type.",
        "A number that is text or the other way round is read differently by Kubernetes, Volcano and Python.",
    ),
    "E204": Explained(
        "A number is in its range.",
        "The limit is that of the API or controller that reads it.",
    ),
    "E205": Explained(
        "A value is one of the allowed ones.",
        "Controllers ignore words that they do not know or take them for a default, without saying so.",
    ),
    "E206": Explained(
        "A text has the right form.", "The API server refuses names, labels, images and quantities of any other form."
    ),
    "E207": Explained(
        "The hardware is a known profile.",
        "NPU count, resource, scheduling policy and ports all come from the profile; own ones go to specs/profiles/.",
    ),
    "E208": Explained(
        "A profile does not contradict itself.",
        "Volcano takes the handler of the policy: it knows logical super pods or not, and how many NPUs a node has. "
        "With other facts in the profile its pods stay Pending.",
    ),
    "E301": Explained(
        "A StormService has one owner.",
        "Two specs of one name and namespace overwrite each other at every sync, and each time pods restart.",
    ),
    "E302": Explained(
        "A profile's name is unique, and a directory has one platform file.", "Which of two counts would be chance."
    ),
    "E303": Explained(
        "Every app renders into a directory of its own.",
        "Two apps in one directory would overwrite each other.",
    ),
    "E304": Explained(
        "No app renders into the directory of the wiring.",
        "`_gitops` holds what Argo CD and Flux read; an app there would be taken for wiring.",
    ),
    "E305": Explained(
        "An Argo CD project belongs to one platform file.",
        "Two that write the same AppProject overwrite each other's permissions at every sync.",
    ),
    "E306": Explained(
        "Names of GitOps objects are unique and short enough.",
        "They are made of directories and app; Argo CD and Flux refuse or overwrite what collides or is too long.",
    ),
    "E401": Explained(
        "Below rendered/ stands only what stormc wrote.",
        "An engine would apply a foreign file too, and no spec explains it. stormc never removes it.",
    ),
    "E402": Explained(
        "No memory of a render is committed.",
        "`.stormc_cache` is what stormc up to 0.1 remembered of a render; a branch that brings one tried to make CI "
        "believe that other manifests are right. Today the memory lies in the user's cache directory.",
    ),
    "E501": Explained(
        "The API server accepts every manifest, and keeps it as it is.",
        "The manifest breaks the schema of its kind, or has a value that the server writes back differently and that "
        "Argo CD then reports for ever: zeros, empty lists, quantities that are not canonical.",
    ),
    "E502": Explained(
        "The cluster's own CRD accepts the StormService.",
        "The file given with --crd is from another AIBrix release, which refuses or prunes what stormc writes.",
    ),
    "E601": Explained(
        "An imported file holds a StormService or a config of the k8s-deploy-tool.",
        "Nothing else describes an app; other objects stay where they are.",
    ),
    "E602": Explained(
        "An import finds what every spec needs.",
        "Without roles, hardware and the model's directory there is no app; --hardware and --model-path say the two.",
    ),
    "W603": Explained(
        "An imported key is one that somebody reads.",
        "Controllers and the k8s-deploy-tool ignore what they do not know, so a misspelt key never had an effect.",
    ),
    "W604": Explained(
        "In an imported file every key stands once.",
        "The k8s-deploy-tool takes the last of two; the spec gets what ran.",
    ),
    "W605": Explained(
        "Everything in an imported file can be taken over.",
        "What a controller writes, what has no effect where it stands, and what stormc replaces is left out, and said.",
    ),
    "I606": Explained(
        "An import says what it assumed.", "The file does not name hardware or sizes outright; check what was inferred."
    ),
    "I607": Explained(
        "An import says what it leaves alone.", "Other objects of the file are no part of an app; keep them."
    ),
}
