export function show() {}
export function hide() {}
