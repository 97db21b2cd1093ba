import { format } from '@dag/expr';
import { detensorize, TensorizeError, type DagTensors } from '@dag/tensorize';

/**
 * The text of a hard plan (one graph) as an expression; '' where `detensorize` of @dag/tensorize refuses the plan. A badly trained
 * model may predict a plan whose expression would be too large, or numbers that are not finite.
 *
 * @example expressionOf(model.predictPlans(['two plus three'])) // '2 + 3'
 */
export function expressionOf(plan: DagTensors): string {
  try {
    return format(detensorize(plan));
  } catch (error) {
    if (error instanceof TensorizeError) return '';
    throw error;
  }
}
