// What the scripts of this folder share: named steps, written down in a report, and a comparison that says what it found.

// Does one named step after the other: a failure is told with the step's name, a step that went well is in `report.steps`.
export function stepsOf(report) {
  return async (name, act) => {
    try {
      await act();
    } catch (error) {
      throw new Error(`${name}: ${error.message}`);
    }
    report.steps.push(name);
  };
}

export function equal(found, wanted) {
  if (found !== wanted) throw new Error(`found ${JSON.stringify(found)}, wanted ${JSON.stringify(wanted)}`);
}
