export function setUpTraining(): void {}
