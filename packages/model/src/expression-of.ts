import { format } from '@dag/expr';
import { detensorize, TensorizeError, type DagTensors } from '@dag/tensorize';

/**
 * A plan as an expression; empty where none can say it: a bad model may repeat its nodes without end, or have weights
 * that are no longer finite.
 */
export function expressionOf(plan: DagTensors): string {
  try {
    return format(detensorize(plan));
  } catch (error) {
    if (error instanceof TensorizeError) return '';
    throw error;
  }
}
