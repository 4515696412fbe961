"""Task files of the LM Evaluation Harness: what they ask is asked, and what they want run is refused by name."""

from __future__ import annotations

import json

import pytest

from ponder.core.errors import UnknownName, UsageError
from ponder.evals.tasks import load

DOCS = [
    {"question": "What is 3 * 4?", "answer": "3 * 4 = 12\n#### 12", "label": 1, "opts": ["ten", "twelve"]},
    {"question": "What is 5 + 5?", "answer": "5 + 5 = 10\n#### 10", "label": 0, "opts": ["ten", "twelve"]},
]


def task(folder, text, docs=DOCS):
    (folder / "docs.jsonl").write_text("".join(json.dumps(doc) + "\n" for doc in docs))
    path = folder / "task.yaml"
    path.write_text(text)
    return str(path)


HEAD = "task: mine\ndataset_path: json\ndataset_kwargs:\n  data_files: docs.jsonl\ntest_split: test\n"
WRITTEN = HEAD + 'doc_to_text: "Q: {{question}}\\nA:"\ndoc_to_target: "{{answer}}"\n'


def test_a_written_answer(tmp_path):
    tasks = load(task(tmp_path, WRITTEN))
    assert [i.problem.question for i in tasks.items] == ["Q: What is 3 * 4?\nA:", "Q: What is 5 + 5?\nA:"]
    assert [i.gold for i in tasks.items] == ["12", "10"]
    assert {(i.problem.kind, i.grader, i.task) for i in tasks.items} == {("math", "math", "mine")}
    assert [i.problem.id for i in tasks.items] == ["mine/1", "mine/2"]


def test_templates_may_do_what_lm_eval_tasks_do(tmp_path):
    text = (
        HEAD
        + 'doc_to_text: question\ndoc_to_target: "{{answer.split(\'####\')[-1].strip()}}"\ndescription: "Solve it.\\n\\n"\n'
    )
    items = load(task(tmp_path, text)).items
    assert items[0].problem.question == "Solve it.\n\nWhat is 3 * 4?"
    assert items[0].gold == "12"


@pytest.mark.parametrize("choices", ["opts", "'{{opts}}'", '["ten", "{{opts[1]}}"]'])
@pytest.mark.parametrize("target", ["label", "'{{label}}'", "'{{opts[label]}}'"])
def test_a_choice_by_index_or_text(tmp_path, choices, target):
    text = (
        HEAD
        + f"output_type: multiple_choice\ndoc_to_text: question\ndoc_to_target: {target}\ndoc_to_choice: {choices}\n"
    )
    items = load(task(tmp_path, text)).items
    assert [i.gold for i in items] == ["B", "A"]
    assert items[0].problem.question.endswith("A) ten\nB) twelve")
    assert (items[0].problem.kind, items[0].problem.choices) == ("choice", 2)


def test_an_index_is_no_text_even_where_choices_are_numbers(tmp_path):
    text = (
        HEAD
        + "output_type: multiple_choice\ndoc_to_text: question\ndoc_to_target: '{{label}}'\ndoc_to_choice: opts\n"
    )
    docs = [{"question": "?", "label": 2, "opts": ["2", "1", "0"]}]
    assert load(task(tmp_path, text, docs)).items[0].gold == "C"


def test_a_file_over_what_it_includes(tmp_path):
    (tmp_path / "base").write_text(WRITTEN)
    items = load(task(tmp_path, "include: base\ntask: other\ndoc_to_text: 'Now: {{question}}'\n")).items
    assert items[0].task == "other"
    assert items[0].problem.question == "Now: What is 3 * 4?"
    with pytest.raises(UsageError, match="deep"):
        load(task(tmp_path, "include: task.yaml\n"))


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (WRITTEN + "process_docs: !function utils.prepare\n", r"utils\.prepare.*process_docs"),
        (HEAD + "doc_to_text: !function utils.ask\ndoc_to_target: answer\n", r"utils\.ask.*doc_to_text"),
        (WRITTEN + "metric_list:\n  - metric: !function utils.score\n", r"utils\.score.*metric_list"),
        (WRITTEN + "output_type: loglikelihood\n", "loglikelihood"),
        (WRITTEN + "use_prompt: promptsource:x\n", "use_prompt"),
        ("group: g\ntask: [a, b]\n", "dataset_path"),
        (HEAD + "doc_to_target: answer\n", "doc_to_text"),
        ("just words", "no keys"),
        ("task: [unclosed", "no YAML"),
        ("!!python/object/apply:os.system ['true']", "no YAML"),
        (WRITTEN.replace("docs.jsonl", "none.jsonl"), r"none\.jsonl cannot be read"),
        (WRITTEN.replace("  data_files: docs.jsonl", "  x: 1"), "data_files"),
    ],
)
def test_what_is_not_supported_is_refused_by_name(tmp_path, text, says):
    with pytest.raises(UsageError, match=says):
        load(task(tmp_path, text))


@pytest.mark.parametrize(
    "template",
    [
        "{{ ''.__class__.__mro__ }}",
        "{{ question.__init__.__globals__ }}",
        "{% for i in range(10**9) %}x{% endfor %}",
        "{{ missing }}",
        "{% include 'docs.jsonl' %}",
        "{{ question | nosuchfilter }}",
        "{{ opts.append(1) }}",
    ],
)
def test_a_template_cannot_reach_out(tmp_path, template):
    with pytest.raises(UsageError, match="it cannot be asked"):
        load(task(tmp_path, HEAD + f'doc_to_text: "{template}"\ndoc_to_target: answer\n'))


def test_a_document_that_cannot_be_asked_is_named_and_the_rest_runs(tmp_path):
    tasks = load(task(tmp_path, WRITTEN, [*DOCS, {"answer": "4"}]))
    assert len(tasks.items) == 2
    assert "line 3" in tasks.complaints[0]


def test_documents_are_limited_and_options_refused(tmp_path):
    path = task(tmp_path, WRITTEN)
    assert [i.gold for i in load(path, limit=1, offset=1).items] == ["10"]
    with pytest.raises(UnknownName):
        load(f"{path}:kind=math")


def test_a_split_by_name(tmp_path):
    text = WRITTEN.replace("data_files: docs.jsonl", "data_files:\n    test: docs.jsonl")
    assert len(load(task(tmp_path, text)).items) == 2
    with pytest.raises(UsageError, match="split"):
        load(task(tmp_path, text.replace("test_split: test", "test_split: dev")))
