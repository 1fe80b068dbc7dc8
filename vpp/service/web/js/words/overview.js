export default {
  en: {
    "overview.title": "Overview",
    "overview.power": "Park power",
    "overview.drawn": "drawn from the grid",
    "overview.fed": "fed into the grid",
    "overview.no_meter": "a main meter is not heard",
    "overview.planned": "Plan now",
    "overview.measured": "Measured",
    "overview.chart": "Power: plan against actual",
  },
  zh: {
    "overview.title": "总览",
    "overview.power": "园区功率",
    "overview.drawn": "从电网取电",
    "overview.fed": "向电网送电",
    "overview.no_meter": "总表无数据",
    "overview.planned": "当前计划",
    "overview.measured": "实测",
    "overview.chart": "功率：计划与实际",
  },
};
