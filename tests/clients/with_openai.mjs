// OpenAI's own client for Node; make clients installs it.
import { readFileSync } from "node:fs";

const { default: OpenAI } = await import(
  new URL("../../.peers/clients/openai-node/node_modules/openai/index.mjs", import.meta.url)
);
const asked = JSON.parse(readFileSync(0, "utf8"));

const told = (answer) => ({
  texts: answer.choices.map((c) => c.message.content),
  finish: answer.choices[0].finish_reason,
  usage: [answer.usage.prompt_tokens, answer.usage.completion_tokens],
  calls: (answer.choices[0].message.tool_calls ?? []).map((c) => [c.function.name, c.function.arguments]),
  logprobs: answer.choices[0].logprobs?.content?.length ?? 0,
  id: answer.id,
});

async function streamed(stream) {
  const got = { texts: [""], pieces: 0, calls: [], finish: null, usage: null };
  for await (const chunk of stream) {
    if (chunk.usage) got.usage = [chunk.usage.prompt_tokens, chunk.usage.completion_tokens];
    for (const choice of chunk.choices) {
      if (choice.delta.content) {
        got.texts[0] += choice.delta.content;
        got.pieces += 1;
      }
      for (const call of choice.delta.tool_calls ?? []) {
        got.calls[call.index] ??= ["", ""];
        got.calls[call.index][0] += call.function.name ?? "";
        got.calls[call.index][1] += call.function.arguments ?? "";
      }
      got.finish = choice.finish_reason ?? got.finish;
    }
  }
  return got;
}

async function run(client, { do: what, body, headers }) {
  const chat = (more = {}, options = {}) => client.chat.completions.create({ ...body, ...more }, { headers, ...options });
  if (what === "chat" || what === "usage") return told(await chat());
  if (what === "twice") {
    const [one, two] = [told(await chat()), told(await chat())];
    const same = Object.keys(headers).length ? one.id === two.id : one.texts[0] === two.texts[0];
    return { ...one, same };
  }
  if (what === "stream") return streamed(await chat({ stream: true }));
  if (what === "streamed usage") {
    return streamed(await chat({ stream: true, stream_options: { include_usage: true } }));
  }
  if (what === "models") {
    const ids = [];
    for await (const model of client.models.list()) ids.push(model.id);
    return { ids };
  }
  if (what === "model") return { ids: [(await client.models.retrieve(body.model)).id] };
  if (what === "text") return { texts: (await client.completions.create(body, { headers })).choices.map((c) => c.text) };
  if (what === "leave") {
    const stream = await chat({ stream: true });
    for await (const _ of stream) break;
    stream.controller.abort();
    return { left: true };
  }
  if (what === "late") {
    try {
      await chat({}, { timeout: 400 });
    } catch (error) {
      if (error instanceof OpenAI.APIConnectionTimeoutError) return { late: true };
      throw error;
    }
  }
  return { na: `${what} has no words` };
}

for (const one of asked.cases) {
  const client = new OpenAI({ baseURL: asked.url, apiKey: asked.keys[one.key], maxRetries: 0 });
  let got;
  try {
    got = await run(client, one);
  } catch (error) {
    got = { status: error.status ?? 0, code: error.code ?? null, said: String(error).slice(0, 200) };
  }
  console.log(JSON.stringify({ case: one.name, ...got }));
}
