/** `fetch` of models against a server. */
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, expect, it } from '@jest/globals';
import { DagGpt, PredictorModel } from '../src/index.js';
import { ProblemModel } from '../src/problems.js';

const MODEL = new PredictorModel({
  ...{ tokenizer: 'char', blockSize: 16, nLayer: 1, nHead: 1, nEmbd: 4, dropout: 0, bias: true },
  ...{ readout: 'decisions', depth: 2, digits: 2 },
});
const WRITER = new DagGpt({
  ...{ tokenizer: 'char', blockSize: 16, nLayer: 1, nHead: 1, nEmbd: 4, dropout: 0, bias: true },
  ...{ readout: 'decisions', depth: 2, digits: 2 },
});
const SOLVER = new ProblemModel({
  ...{ nLayer: 1, nHead: 1, nEmbd: 4, nInner: 4, convolution: 2, members: 1, depth: 1, dropout: 0 },
  ...{ words: ['pear'], constants: [], templates: [{ equation: '- number0 number1', count: 2 }] },
});

let server: Server;
const at = (path: string): string => `http://127.0.0.1:${(server.address() as AddressInfo).port}${path}`;
beforeAll(async () => {
  server = createServer(({ url }, response) => {
    if (url === '/model') response.end(MODEL.save());
    else if (url === '/writer') response.end(WRITER.save());
    else if (url === '/solver') response.end(SOLVER.save());
    else if (url === '/cut') response.end(MODEL.save().subarray(0, 100));
    else if (url === '/page')
      response.writeHead(200, { 'content-type': 'text/html; charset=utf-8' }).end('<!doctype html>');
    else if (url === '/begun') response.write('a');
    else if (url === '/broken')
      response.writeHead(200, { 'content-length': 9 }).write('a', () => response.destroy());
    else response.writeHead(404).end();
  });
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
});
afterAll(() => {
  server.closeAllConnections();
  server.close();
});

it('reads the model at an address', async () => {
  const model = await PredictorModel.fetch(new URL(at('/model')));
  expect(model.save()).toEqual(MODEL.save());
  expect((await DagGpt.fetch(at('/writer'))).save()).toEqual(WRITER.save());
  expect((await ProblemModel.fetch(at('/solver'))).save()).toEqual(SOLVER.save());
});

it.each([
  ['/model', DagGpt, 'a plan predictor, which PredictorModel.load reads'],
  ['/model', ProblemModel, 'a plan predictor, which PredictorModel.load reads'],
  ['/writer', PredictorModel, 'a language model, which DagGpt.load reads'],
  ['/writer', ProblemModel, 'a language model, which DagGpt.load reads'],
  ['/solver', PredictorModel, 'a model of word problems, which ProblemModel.load reads'],
  ['/solver', DagGpt, 'a model of word problems, which ProblemModel.load reads'],
])('%s is not for %p', async (path, { fetch }, held) => {
  await expect(fetch(at(path))).rejects.toMatchObject({
    ...{ code: 'bad-file', message: expect.stringMatching(`: the file holds ${held}$`) },
  });
});

it.each([
  ['/none', 'download', /none: the server answered 404$/],
  ['/page', 'bad-file', /page: the server answered with an HTML page in place of a file of weights$/],
  ['/cut', 'bad-file', /cut: safetensors data: /],
  ['/broken', 'download', /broken cannot be fetched: /],
])('%s is an error with the code %s', async (path, code, message) => {
  await expect(PredictorModel.fetch(at(path))).rejects.toMatchObject({
    ...{ name: 'ModelError', code, message: expect.stringMatching(message) },
  });
});

it('refuses what is no address, and a server that is not there', async () => {
  await expect(PredictorModel.fetch('no address')).rejects.toMatchObject({ code: 'download' });
  await expect(PredictorModel.fetch('http://127.0.0.1:1/model')).rejects.toMatchObject({ code: 'download' });
});

it('stops when its signal is aborted, before and while it reads', async () => {
  const reason = new Error('enough');
  const before = PredictorModel.fetch(at('/model'), { signal: AbortSignal.abort(reason) });
  await expect(before).rejects.toMatchObject({ code: 'aborted', cause: reason });
  const during = PredictorModel.fetch(at('/begun'), { signal: AbortSignal.timeout(50) });
  await expect(during).rejects.toMatchObject({ code: 'aborted' });
});
