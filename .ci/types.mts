/** What .ci/check-install compiles in a project that has all packages: their declarations, and a line of use of each. */
import { execute, type Tensor, zeros } from '@dag/executor';
import { type Expr, parse } from '@dag/expr';
import { normalize } from '@dag/expr/normalize';
import { loadSafetensors, PredictorModel, toFloat16 } from '@dag/model';
import { tensorize } from '@dag/tensorize';
import { defineConfig, loadPretrained } from '@dag/train';

const expr: Expr = normalize(parse('1 + 2'));
const values: Float64Array = execute(tensorize(expr, { depth: 2 }));
const tensor: Tensor = zeros([2, 3]);
const halves: Uint16Array = toFloat16(Float32Array.from(values));
const model: PredictorModel = await loadPretrained();
export default defineConfig({ name: `${model.predict('1 + 2').value} ${tensor.size} ${halves.length}` });
export { loadSafetensors };
